#include "ipam/ipam_records.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace weave {
namespace {

constexpr absl::string_view kAllocationPrefix = "ipam/allocation/";

}  // namespace

std::string RingKey() { return "ipam/ring"; }
std::string PaxosKey() { return "ipam/paxos"; }
std::string AllocationKey(absl::string_view ident) { return absl::StrCat(kAllocationPrefix, ident); }

std::optional<std::string> IdentOfKey(absl::string_view key) {
  if (!absl::ConsumePrefix(&key, kAllocationPrefix)) return std::nullopt;
  return std::string(key);
}

}  // namespace weave
