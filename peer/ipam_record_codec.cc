#include "peer/ipam_record_codec.h"

#include <utility>

#include "absl/numeric/int128.h"
#include "base/bytes.h"
#include "base/status.h"
#include "ipam/council_messages.h"
#include "ipam/ring.h"
#include "peer/record_fields.h"

namespace weave {
namespace {

// ---- the ring ----

absl::StatusOr<AddressRange> LoadUniverse(const v1::StoredRing& stored) {
  AddressRange universe;
  ASSIGN_OR_RETURN(universe.start, LoadIp(stored.universe_start()));
  universe.size = absl::MakeUint128(stored.universe_size_high(), stored.universe_size_low());
  const int bits = BitCount(universe.start.family());
  const absl::uint128 last = bits == 128 ? absl::Uint128Max() : (absl::uint128(1) << bits) - 1;
  if (universe.size < 4 || universe.size - 1 > last - universe.start.value())
    return Damaged("the ring's range is too small or ends behind the last address");
  return universe;
}

absl::StatusOr<RingEntry> LoadEntry(const v1::StoredRing::Entry& stored) {
  RingEntry entry;
  ASSIGN_OR_RETURN(entry.token, LoadIp(stored.token()));
  ASSIGN_OR_RETURN(entry.peer, LoadPeerName(stored.peer()));
  entry.version = stored.version();
  entry.free = absl::MakeUint128(stored.free_high(), stored.free_low());
  return entry;
}

absl::StatusOr<CouncilMemory> LoadCouncil(absl::string_view stored) {
  absl::StatusOr<CouncilMemory> memory = DecodeCouncilMemory(AsBytes(stored));
  if (!memory.ok()) return Damaged(memory.status().message());
  return memory;
}

// ---- votes ----

void Store(const PaxosNodeId& node, v1::StoredPaxos::Node& stored) {
  stored.set_name(node.name.value());
  stored.set_uid(node.uid);
}

void Store(const ProposalId& proposal, v1::StoredPaxos::Proposal& stored) {
  if (!proposal.valid()) return;  // of nobody
  stored.set_round(proposal.round);
  Store(proposal.proposer, *stored.mutable_proposer());
}

absl::StatusOr<PaxosNodeId> Load(const v1::StoredPaxos::Node& stored) {
  ASSIGN_OR_RETURN(const PeerName name, LoadPeerName(stored.name()));
  return PaxosNodeId{name, stored.uid()};
}

absl::StatusOr<ProposalId> Load(const v1::StoredPaxos::Proposal& stored) {
  if (stored.round() == 0) return ProposalId();
  ASSIGN_OR_RETURN(const PaxosNodeId proposer, Load(stored.proposer()));
  return ProposalId{stored.round(), proposer};
}

absl::StatusOr<NodeClaims> Load(const v1::StoredPaxos::Claims& stored) {
  NodeClaims claims;
  ASSIGN_OR_RETURN(claims.promise, Load(stored.promise()));
  ASSIGN_OR_RETURN(claims.accepted, Load(stored.accepted()));
  ASSIGN_OR_RETURN(claims.value.origin, Load(stored.origin()));
  for (const std::uint64_t peer : stored.value()) {
    ASSIGN_OR_RETURN(const PeerName name, LoadPeerName(peer));
    claims.value.peers.push_back(name);
  }
  return claims;
}

// Of a kind that only a later version knows: better kept for ever than given to somebody else.
Upkeep LoadUpkeep(std::uint32_t stored) {
  return stored <= static_cast<std::uint32_t>(Upkeep::kInterface) ? static_cast<Upkeep>(stored) : Upkeep::kHolder;
}

}  // namespace

void StoreRing(const RingRecord& record, v1::StoredRing& stored) {
  stored.set_self(record.self.value());
  stored.set_universe_start(StoreIp(record.universe.start));
  stored.set_universe_size_low(absl::Uint128Low64(record.universe.size));
  stored.set_universe_size_high(absl::Uint128High64(record.universe.size));
  for (const RingEntry& entry : record.entries) {
    v1::StoredRing::Entry& to = *stored.add_entries();
    to.set_token(StoreIp(entry.token));
    to.set_peer(entry.peer.value());
    to.set_version(entry.version);
    to.set_free_low(absl::Uint128Low64(entry.free));
    to.set_free_high(absl::Uint128High64(entry.free));
  }
  for (const PeerName seed : record.seeds) stored.add_seeds(seed.value());
  for (const auto& [peer, nickname] : record.nicknames) {
    v1::StoredRing::Nickname& to = *stored.add_nicknames();
    to.set_peer(peer.value());
    to.set_nickname(nickname);
  }
  if (!record.council.has_value()) return;
  const Bytes council = EncodeCouncilMemory(*record.council);
  stored.set_council(council.data(), council.size());
}

absl::StatusOr<RingRecord> LoadRing(const v1::StoredRing& stored) {
  RingRecord record;
  ASSIGN_OR_RETURN(record.self, LoadPeerName(stored.self()));
  ASSIGN_OR_RETURN(record.universe, LoadUniverse(stored));
  for (const v1::StoredRing::Entry& from : stored.entries()) {
    ASSIGN_OR_RETURN(const RingEntry entry, LoadEntry(from));
    record.entries.push_back(entry);
  }
  for (const std::uint64_t seed : stored.seeds()) {
    ASSIGN_OR_RETURN(const PeerName name, LoadPeerName(seed));
    record.seeds.push_back(name);
  }
  for (const v1::StoredRing::Nickname& from : stored.nicknames()) {
    ASSIGN_OR_RETURN(const PeerName peer, LoadPeerName(from.peer()));
    record.nicknames[peer] = from.nickname();
  }
  if (stored.council().empty()) return record;
  ASSIGN_OR_RETURN(record.council, LoadCouncil(stored.council()));
  return record;
}

absl::Status CheckRing(const RingRecord& record) {
  const absl::Status valid = Ring::Make(record.universe, record.entries, record.seeds).status();
  return valid.ok() ? valid : Damaged(valid.message());
}

void StorePaxos(const PaxosRecord& record, v1::StoredPaxos& stored) {
  Store(record.node, *stored.mutable_node());
  for (const auto& [node, claims] : record.claims) {
    v1::StoredPaxos::Claims& to = *stored.add_claims();
    Store(node, *to.mutable_node());
    Store(claims.promise, *to.mutable_promise());
    Store(claims.accepted, *to.mutable_accepted());
    Store(claims.value.origin, *to.mutable_origin());
    for (const PeerName peer : claims.value.peers) to.add_value(peer.value());
  }
}

absl::StatusOr<PaxosRecord> LoadPaxos(const v1::StoredPaxos& stored) {
  PaxosRecord record;
  ASSIGN_OR_RETURN(record.node, Load(stored.node()));
  for (const v1::StoredPaxos::Claims& from : stored.claims()) {
    ASSIGN_OR_RETURN(const PaxosNodeId node, Load(from.node()));
    ASSIGN_OR_RETURN(record.claims[node], Load(from));
  }
  return record;
}

void StoreAllocation(const AllocationRecord& record, v1::StoredAllocation& stored) {
  stored.set_ident(record.ident);
  for (const Cidr& address : record.addresses) StoreAddress(address, *stored.add_addresses());
  stored.set_is_container(record.is_container);
  stored.set_upkeep(static_cast<std::uint32_t>(record.upkeep));
}

absl::StatusOr<AllocationRecord> LoadAllocation(const v1::StoredAllocation& stored) {
  RETURN_IF_ERROR(CheckAddressCount(static_cast<std::size_t>(stored.addresses_size())));
  AllocationRecord record;
  record.ident = stored.ident();
  record.is_container = stored.is_container();
  record.upkeep = LoadUpkeep(stored.upkeep());
  for (const v1::StoredAddress& address : stored.addresses()) {
    ASSIGN_OR_RETURN(const Cidr cidr, LoadAddress(address));
    record.addresses.push_back(cidr);
  }
  return record;
}

absl::Status CheckAllocation(const AllocationRecord& record) {
  if (record.ident.empty()) return Damaged("the holder's id is empty");
  if (record.addresses.empty()) return Damaged("the holder has no address");
  RETURN_IF_ERROR(CheckText("the holder's id", record.ident));
  return CheckAddressCount(record.addresses.size());
}

}  // namespace weave
