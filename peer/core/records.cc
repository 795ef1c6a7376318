#include "peer/core/records.h"

#include "absl/strings/str_cat.h"

namespace weave {

std::string IdentityKey() { return "identity"; }

std::string EndpointKey(std::uint64_t netns_inode) { return absl::StrCat("endpoint/", netns_inode); }

std::string ExposureKey(const IpAddress& address) { return absl::StrCat("exposure/", address.ToString()); }

std::string DirectPeersKey() { return "direct-peers"; }

// The size keeps what is within the holder apart from what follows it.
std::string NameKey(absl::string_view holder, const IpAddress& address, absl::string_view hostname) {
  return absl::StrCat("name/", address.ToString(), "/", holder.size(), "/", holder, "/", hostname);
}

Record ToRecord(const IpamRecord& record) {
  return std::visit([](const auto& alternative) { return Record(alternative); }, record);
}

std::optional<IpamRecord> ToIpamRecord(const Record& record) {
  if (const auto* ring = std::get_if<RingRecord>(&record)) return *ring;
  if (const auto* paxos = std::get_if<PaxosRecord>(&record)) return *paxos;
  if (const auto* allocation = std::get_if<AllocationRecord>(&record)) return *allocation;
  return std::nullopt;
}

}  // namespace weave
