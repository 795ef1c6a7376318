#include "peer/record_codec.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "peer/ipam_record_codec.h"
#include "peer/record_fields.h"
#include "weave/v1/record.pb.h"

namespace weave {
namespace {

// ---- what a record must fulfil ----

absl::Status Check(absl::string_view key, const IdentityRecord& record) {
  if (!record.name.known()) return Damaged("the peer name is zero");
  RETURN_IF_ERROR(CheckText("the boot id", record.boot_id));
  return CheckKey(key, IdentityKey());
}

absl::Status Check(absl::string_view key, const EndpointRecord& record) {
  if (record.sandbox.ident.empty()) return Damaged("the container id is empty");
  if (record.sandbox.netns_path.empty() || record.sandbox.netns_path.front() != '/')
    return Damaged("the namespace's path is not absolute");
  RETURN_IF_ERROR(CheckText("the container id", record.sandbox.ident));
  RETURN_IF_ERROR(CheckText("the namespace's path", record.sandbox.netns_path));
  RETURN_IF_ERROR(CheckText("the boot id", record.boot_id));
  RETURN_IF_ERROR(CheckAddressCount(record.addresses.size()));
  std::vector<IpAddress> seen;
  for (const Cidr& cidr : record.addresses) seen.push_back(cidr.address());
  std::sort(seen.begin(), seen.end());
  const auto twice = std::adjacent_find(seen.begin(), seen.end());
  if (twice != seen.end()) return Damaged(absl::StrCat("address ", twice->ToString(), " occurs twice"));
  return CheckKey(key, EndpointKey(record.sandbox.netns_inode));
}

absl::Status Check(absl::string_view key, const ExposureRecord& record) {
  return CheckKey(key, ExposureKey(record.cidr.address()));
}

absl::Status Check(absl::string_view key, const DirectPeersRecord& record) {
  if (record.peers.size() > kMaxDirectPeerCount)
    return Damaged(absl::StrCat(record.peers.size(), " peers, at most ", kMaxDirectPeerCount, " are taken"));
  for (const std::string& peer : record.peers) RETURN_IF_ERROR(CheckText("a peer's address", peer));
  return CheckKey(key, DirectPeersKey());
}

absl::Status Check(absl::string_view key, const NameRecord& record) {
  if (record.holder.empty()) return Damaged("the holder of a name is empty");
  if (record.hostname.empty()) return Damaged("the name is empty");
  RETURN_IF_ERROR(CheckText("the holder of a name", record.holder));
  RETURN_IF_ERROR(CheckText("the name", record.hostname));
  return CheckKey(key, NameKey(record.holder, record.address, record.hostname));
}

// ---- to protobuf and back ----

void Store(const IdentityRecord& record, v1::StoredRecord& stored) {
  stored.mutable_identity()->set_name(record.name.value());
  stored.mutable_identity()->set_boot_id(record.boot_id);
  if (record.short_id.has_value()) stored.mutable_identity()->set_short_id(*record.short_id);
  if (record.interface_mtu.has_value())
    stored.mutable_identity()->set_interface_mtu(static_cast<std::uint32_t>(*record.interface_mtu));
}

void Store(const EndpointRecord& record, v1::StoredRecord& stored) {
  v1::StoredEndpoint& endpoint = *stored.mutable_endpoint();
  endpoint.set_ident(record.sandbox.ident);
  endpoint.set_netns_path(record.sandbox.netns_path);
  endpoint.set_netns_inode(record.sandbox.netns_inode);
  endpoint.set_boot_id(record.boot_id);
  for (const Cidr& cidr : record.addresses) StoreAddress(cidr, *endpoint.add_addresses());
  endpoint.set_multicast_route(record.multicast_route);
}

void Store(const ExposureRecord& record, v1::StoredRecord& stored) {
  v1::StoredExposure& exposure = *stored.mutable_exposure();
  StoreAddress(record.cidr, *exposure.mutable_address());
  exposure.set_masquerade(record.masquerade);
}

void Store(const DirectPeersRecord& record, v1::StoredRecord& stored) {
  v1::StoredDirectPeers& peers = *stored.mutable_direct_peers();
  for (const std::string& peer : record.peers) peers.add_peers(peer);
}

void Store(const NameRecord& record, v1::StoredRecord& stored) {
  v1::StoredName& name = *stored.mutable_name();
  name.set_holder(record.holder);
  name.set_address(StoreIp(record.address));
  name.set_hostname(record.hostname);
  name.set_version(record.version);
}

absl::StatusOr<Record> Load(const v1::StoredIdentity& stored) {
  ASSIGN_OR_RETURN(const PeerName name, LoadPeerName(stored.name()));
  IdentityRecord record{name, stored.boot_id()};
  if (stored.has_short_id()) {
    if (stored.short_id() > kMaxShortId) return Damaged("the short id has more than 12 bits");
    record.short_id = static_cast<ShortId>(stored.short_id());
  }
  if (stored.has_interface_mtu()) {
    if (stored.interface_mtu() == 0 || stored.interface_mtu() > kMaxInterfaceMtu)
      return Damaged(absl::StrCat("an MTU of ", stored.interface_mtu(), " bytes"));
    record.interface_mtu = stored.interface_mtu();
  }
  return record;
}

absl::StatusOr<Record> Load(const v1::StoredEndpoint& stored) {
  RETURN_IF_ERROR(CheckAddressCount(static_cast<std::size_t>(stored.addresses_size())));
  EndpointRecord record;
  record.sandbox = {stored.ident(), stored.netns_path(), stored.netns_inode()};
  record.boot_id = stored.boot_id();
  record.multicast_route = stored.multicast_route();
  for (const v1::StoredAddress& address : stored.addresses()) {
    ASSIGN_OR_RETURN(const Cidr cidr, LoadAddress(address));
    record.addresses.push_back(cidr);
  }
  return record;
}

absl::StatusOr<Record> Load(const v1::StoredExposure& stored) {
  ASSIGN_OR_RETURN(const Cidr cidr, LoadAddress(stored.address()));
  return ExposureRecord{cidr, stored.masquerade()};
}

absl::StatusOr<Record> Load(const v1::StoredDirectPeers& stored) {
  DirectPeersRecord record;
  for (const std::string& peer : stored.peers()) record.peers.push_back(peer);
  return record;
}

absl::StatusOr<Record> Load(const v1::StoredName& stored) {
  ASSIGN_OR_RETURN(const IpAddress address, LoadIp(stored.address()));
  return NameRecord{stored.holder(), address, stored.hostname(), stored.version()};
}

template <typename OwnRecord>
absl::StatusOr<Record> AsRecord(absl::StatusOr<OwnRecord> record) {
  if (!record.ok()) return record.status();
  return *std::move(record);
}

absl::StatusOr<Record> Load(absl::string_view bytes) {
  const google::protobuf::LogSilencer silence;  // our status says what is wrong; protobuf would print a line of its own
  v1::StoredRecord stored;
  if (bytes.size() > kMaxStoredRecordSize || !stored.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Damaged(absl::StrCat("its ", bytes.size(), " bytes are not a record"));
  switch (stored.record_case()) {
    case v1::StoredRecord::kIdentity:
      return Load(stored.identity());
    case v1::StoredRecord::kEndpoint:
      return Load(stored.endpoint());
    case v1::StoredRecord::kExposure:
      return Load(stored.exposure());
    case v1::StoredRecord::kDirectPeers:
      return Load(stored.direct_peers());
    case v1::StoredRecord::kRing:
      return AsRecord(LoadRing(stored.ring()));
    case v1::StoredRecord::kPaxos:
      return AsRecord(LoadPaxos(stored.paxos()));
    case v1::StoredRecord::kAllocation:
      return AsRecord(LoadAllocation(stored.allocation()));
    case v1::StoredRecord::kName:
      return Load(stored.name());
    case v1::StoredRecord::RECORD_NOT_SET:
      break;
  }
  return Damaged("a kind of record that this version does not know");
}

void Store(const RingRecord& record, v1::StoredRecord& stored) { StoreRing(record, *stored.mutable_ring()); }
void Store(const PaxosRecord& record, v1::StoredRecord& stored) { StorePaxos(record, *stored.mutable_paxos()); }
void Store(const AllocationRecord& record, v1::StoredRecord& stored) {
  StoreAllocation(record, *stored.mutable_allocation());
}

absl::Status Check(absl::string_view key, const RingRecord& record) {
  RETURN_IF_ERROR(CheckRing(record));
  return CheckKey(key, RingKey());
}
absl::Status Check(absl::string_view key, const PaxosRecord&) { return CheckKey(key, PaxosKey()); }
absl::Status Check(absl::string_view key, const AllocationRecord& record) {
  RETURN_IF_ERROR(CheckAllocation(record));
  return CheckKey(key, AllocationKey(record.ident));
}

absl::Status Check(absl::string_view key, const Record& record) {
  return std::visit([&](const auto& alternative) { return Check(key, alternative); }, record);
}

std::string Context(absl::string_view key) {
  return absl::StrCat("stored record \"", absl::Utf8SafeCHexEscape(key), "\"");
}

}  // namespace

absl::StatusOr<std::string> EncodeRecord(absl::string_view key, const Record& record) {
  const google::protobuf::LogSilencer silence;
  v1::StoredRecord stored;
  std::visit([&](const auto& alternative) { Store(alternative, stored); }, record);
  std::string bytes = stored.SerializeAsString();
  // Reading it back also finds what only protobuf refuses, such as a container id that is not UTF-8.
  if (const absl::Status status = DecodeRecord(key, bytes).status(); !status.ok())
    return absl::InvalidArgumentError(status.message());
  return bytes;
}

absl::StatusOr<Record> DecodeRecord(absl::string_view key, absl::string_view bytes) {
  absl::StatusOr<Record> record = Load(bytes);
  if (!record.ok()) return Annotate(record.status(), Context(key));
  RETURN_IF_ERROR(Annotate(Check(key, *record), Context(key)));
  return record;
}

}  // namespace weave
