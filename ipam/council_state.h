// What the council has decided (docs/ipam.md, "The council"): values, and how two peers' knowledge becomes one.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/ip.h"
#include "base/peer_name.h"
#include "ipam/paxos_machine.h"
#include "ipam/ring.h"

namespace weave {

// Which decision a state is. Later ones outdo earlier ones; what an operator forced outdoes all that was agreed.
struct CouncilId {
  std::uint64_t generation = 0;  // how often it was forced
  PeerName forcer;               // who did so last; unknown: nobody
  std::uint64_t epoch = 0;       // decisions so far

  friend constexpr auto operator<=>(const CouncilId&, const CouncilId&) = default;
};

// Who may vote. `uid` 0: whichever node has the name.
struct CouncilMember {
  PeerName name;
  PeerUid uid = 0;

  friend constexpr auto operator<=>(const CouncilMember&, const CouncilMember&) = default;
};

// A peer whose ranges change hands. `steps`: 1, and 1 more for each heir before who was promised them and may have
// taken them unheard; our versions must be ahead of what any of these may have told.
struct CouncilVictim {
  static constexpr std::uint8_t kMaxSteps = 200;

  PeerName name;
  std::uint8_t steps = 1;

  friend constexpr auto operator<=>(const CouncilVictim&, const CouncilVictim&) = default;
};

// An entry as the heir's ring had it after the takeover. Rings travel whole, so a ring that knows this one knows all.
struct RingWitness {
  IpAddress token;
  std::uint32_t version = 0;

  friend bool operator==(const RingWitness&, const RingWitness&) = default;
};

// `heir` takes over what `victims` own, the named one first. Until the heir has done so and our ring shows it, their
// ranges are promised to the heir and nobody else may take them.
struct CouncilTakeover {
  std::uint64_t number = 0;  // with the heir, its identity; see CouncilState::NextNumber
  PeerName heir;
  std::vector<CouncilVictim> victims;  // at least one
  bool applied = false;
  std::optional<RingWitness> witness;  // of an applied one; none: there was nothing to take

  bool Concerns(PeerName victim) const;
  friend bool operator==(const CouncilTakeover&, const CouncilTakeover&) = default;
};

struct CouncilState {
  static constexpr std::size_t kMaxMembers = 4096;
  static constexpr std::size_t kMaxTakeovers = 64;
  static constexpr std::size_t kMaxVictims = 64;
  static constexpr std::uint64_t kMaxCount = std::uint64_t{1} << 50;  // of generations and epochs

  CouncilId id;
  std::vector<CouncilMember> members;      // by name, each once
  std::vector<CouncilTakeover> takeovers;  // in the order they were decided

  const CouncilMember* FindMember(PeerName name) const;
  // May this node vote?
  bool IsMember(const PaxosNodeId& node) const;
  // More than half of the members are among `nodes`, or exactly half and the first of all: any two quorums meet.
  bool IsQuorum(const std::vector<PaxosNodeId>& nodes) const;
  // Votes that are enough whoever casts them.
  std::size_t SafeQuorum() const { return members.size() / 2 + 1; }

  void SetMember(const CouncilMember& member);
  void RemoveMember(PeerName name);

  // Takes over what `other` knows to be applied of the takeovers here. True when that was new.
  bool LearnApplied(const CouncilState& other);
  CouncilTakeover* FindTakeover(std::uint64_t number, PeerName heir);
  // Of another takeover by this decision.
  std::uint64_t NextNumber() const;
  bool IsOfThisDecision(const CouncilTakeover& takeover) const { return takeover.number / kMaxTakeovers == id.epoch; }

  friend bool operator==(const CouncilState&, const CouncilState&) = default;
};

// What a peer remembers over a restart: who it is among the voters, what is decided, and its own promise and vote on
// what comes next.
struct CouncilMemory {
  PeerUid uid = 0;
  CouncilState state;
  PaxosClaim<CouncilState> claim;

  friend bool operator==(const CouncilMemory&, const CouncilMemory&) = default;
};

}  // namespace weave
