// The structs of other rooms and of the persistence file as the reference peer sends them (spec/gob.md section 6), to
// show that the gob library serves them. Maps keep the order of the wire.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "wire/gob.h"

namespace weave {

struct GobNodeId {
  PeerName name;
  std::uint64_t uid = 0;
};
struct GobProposalId {
  std::uint64_t round = 0;
  GobNodeId proposer;
};
struct GobAcceptedValue {
  std::vector<PeerName> value;
  GobProposalId origin;
};
struct GobNodeClaims {
  GobProposalId promise;
  GobProposalId accepted;
  GobAcceptedValue accepted_value;
};
struct GobRingEntry {
  std::uint32_t token = 0;
  PeerName peer;
  std::uint32_t version = 0;
  std::uint32_t free = 0;
};
struct GobRing {
  std::uint32_t start = 0;
  std::uint32_t end = 0;
  PeerName peer;
  std::vector<GobRingEntry> entries;
  std::vector<PeerName> seeds;
};
struct GobIpamState {
  std::int64_t now = 0;
  std::vector<std::pair<PeerName, std::string>> nicknames;
  std::optional<std::vector<std::pair<GobNodeId, GobNodeClaims>>> paxos;
  std::optional<GobRing> ring;
};
struct GobRange {
  std::uint32_t start = 0;
  std::uint32_t end = 0;
};
struct GobNameEntry {
  std::string container_id;
  PeerName origin;
  std::uint32_t address = 0;
  std::string hostname;
  std::int64_t version = 0;
  std::int64_t tombstone = 0;
};
struct GobNames {
  std::int64_t timestamp = 0;
  std::vector<GobNameEntry> entries;
};
struct GobCidr {
  std::uint32_t address = 0;
  std::int64_t prefix_length = 0;
};
struct GobOwned {
  bool is_container = false;
  std::vector<GobCidr> cidrs;
};

template <>
struct GobDescription<GobNodeId> : GobStruct<"", GobField<"Name", &GobNodeId::name>, GobField<"UID", &GobNodeId::uid>> {
};
template <>
struct GobDescription<GobProposalId> : GobStruct<"ProposalID", GobField<"Round", &GobProposalId::round>,
                                                 GobField<"Proposer", &GobProposalId::proposer>> {};
template <>
struct GobDescription<GobAcceptedValue>
    : GobStruct<"AcceptedValue", GobField<"Value", &GobAcceptedValue::value, "Value">,
                GobField<"Origin", &GobAcceptedValue::origin>> {};
template <>
struct GobDescription<GobNodeClaims>
    : GobStruct<"", GobField<"Promise", &GobNodeClaims::promise>, GobField<"Accepted", &GobNodeClaims::accepted>,
                GobField<"AcceptedVal", &GobNodeClaims::accepted_value>> {};
template <>
struct GobDescription<GobRingEntry>
    : GobStruct<"", GobField<"Token", &GobRingEntry::token>, GobField<"Peer", &GobRingEntry::peer>,
                GobField<"Version", &GobRingEntry::version>, GobField<"Free", &GobRingEntry::free>> {};
template <>
struct GobDescription<GobRing>
    : GobStruct<"Ring", GobField<"Start", &GobRing::start>, GobField<"End", &GobRing::end>,
                GobField<"Peer", &GobRing::peer>, GobField<"Entries", &GobRing::entries, "entries">,
                GobField<"Seeds", &GobRing::seeds, "[]main.PeerName">> {};
template <>
struct GobDescription<GobIpamState>
    : GobStruct<"gossipState", GobField<"Now", &GobIpamState::now>,
                GobField<"Nicknames", &GobIpamState::nicknames, "map[main.PeerName]string">,
                GobField<"Paxos", &GobIpamState::paxos, "GossipState">, GobField<"Ring", &GobIpamState::ring>> {};
template <>
struct GobDescription<GobRange>
    : GobStruct<"Range", GobField<"Start", &GobRange::start>, GobField<"End", &GobRange::end>> {};
template <>
struct GobDescription<GobNameEntry>
    : GobStruct<"Entry", GobField<"ContainerID", &GobNameEntry::container_id>,
                GobField<"Origin", &GobNameEntry::origin>, GobField<"Addr", &GobNameEntry::address>,
                GobField<"Hostname", &GobNameEntry::hostname>, GobField<"Version", &GobNameEntry::version>,
                GobField<"Tombstone", &GobNameEntry::tombstone>> {};
template <>
struct GobDescription<GobNames> : GobStruct<"GossipData", GobField<"Timestamp", &GobNames::timestamp>,
                                            GobField<"Entries", &GobNames::entries, "Entries">> {};
template <>
struct GobDescription<GobCidr>
    : GobStruct<"CIDR", GobField<"Addr", &GobCidr::address>, GobField<"PrefixLen", &GobCidr::prefix_length>> {};
template <>
struct GobDescription<GobOwned> : GobStruct<"", GobField<"IsContainer", &GobOwned::is_container>,
                                            GobField<"Cidrs", &GobOwned::cidrs, "[]main.CIDR">> {};

}  // namespace weave
