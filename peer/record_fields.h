// Fields that several kinds of stored records have, checked as they are read. Errors are DataLoss without the record's
// key, which DecodeRecord adds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "weave/v1/record.pb.h"

namespace weave {

absl::Status Damaged(absl::string_view what);

absl::Status CheckText(absl::string_view field, absl::string_view text);
absl::Status CheckAddressCount(std::size_t count);
absl::Status CheckKey(absl::string_view key, absl::string_view own);

void StoreAddress(const Cidr& cidr, v1::StoredAddress& stored);
absl::StatusOr<Cidr> LoadAddress(const v1::StoredAddress& stored);

// An address without a prefix.
std::string StoreIp(const IpAddress& address);
absl::StatusOr<IpAddress> LoadIp(const std::string& stored);

// Not zero.
absl::StatusOr<PeerName> LoadPeerName(std::uint64_t stored);

}  // namespace weave
