#include "peer/record_fields.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "peer/record_codec.h"

namespace weave {
namespace {

constexpr std::uint64_t kMaxPeerNameValue = 0xffff'ffff'ffff;

}  // namespace

absl::Status Damaged(absl::string_view what) { return absl::DataLossError(std::string(what)); }

absl::Status CheckText(absl::string_view field, absl::string_view text) {
  if (text.size() <= kMaxRecordTextSize) return absl::OkStatus();
  return Damaged(absl::StrCat(field, " has ", text.size(), " bytes, at most ", kMaxRecordTextSize, " are taken"));
}

absl::Status CheckAddressCount(std::size_t count) {
  if (count <= kMaxRecordAddressCount) return absl::OkStatus();
  return Damaged(absl::StrCat(count, " addresses, at most ", kMaxRecordAddressCount, " are taken"));
}

absl::Status CheckKey(absl::string_view key, absl::string_view own) {
  if (key == own) return absl::OkStatus();
  return Damaged(absl::StrCat("it belongs under the key \"", own, "\""));
}

std::string StoreIp(const IpAddress& address) {
  const Bytes bytes = address.ToBytes();
  return std::string(bytes.begin(), bytes.end());
}

absl::StatusOr<IpAddress> LoadIp(const std::string& stored) {
  absl::StatusOr<IpAddress> address = IpAddress::FromBytes(AsBytes(stored));
  if (!address.ok()) return Damaged(absl::StrCat("an address of ", stored.size(), " bytes"));
  return address;
}

void StoreAddress(const Cidr& cidr, v1::StoredAddress& stored) {
  stored.set_address(StoreIp(cidr.address()));
  stored.set_prefix_length(static_cast<std::uint32_t>(cidr.prefix_length()));
}

absl::StatusOr<Cidr> LoadAddress(const v1::StoredAddress& stored) {
  ASSIGN_OR_RETURN(const IpAddress address, LoadIp(stored.address()));
  const auto bit_count = static_cast<std::uint32_t>(BitCount(address.family()));
  if (stored.prefix_length() > bit_count)
    return Damaged(absl::StrCat("address ", address.ToString(), " with a prefix length of ", stored.prefix_length()));
  return Cidr(address, static_cast<int>(stored.prefix_length()));
}

absl::StatusOr<PeerName> LoadPeerName(std::uint64_t stored) {
  if (stored > kMaxPeerNameValue) return Damaged("the peer name has more than 48 bits");
  if (stored == 0) return Damaged("the peer name is zero");
  return PeerName(stored);
}

}  // namespace weave
