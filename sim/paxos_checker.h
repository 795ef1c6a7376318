// What peers have on disk of promises and votes, watched over all their lives: about the first owners of the ring, and
// about each decision of the council.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "ipam/council_state.h"
#include "ipam/ipam_records.h"
#include "ipam/paxos.h"
#include "sim/disk.h"
#include "sim/trace.h"

namespace weave::sim {

// A node never goes back on a promise or a vote, also over a restart; one proposal has one value; the ring's first
// owners are those that a quorum voted for, and there is one such list; a decision of the council is one state, in
// which everybody has the same members and removals.
class PaxosChecker {
 public:
  // `quorum`: votes that make the first owners; none: they are given. References outlive the checker.
  PaxosChecker(std::optional<std::size_t> quorum, Trace& trace) : quorum_(quorum), trace_(trace) {}

  // Whenever the disk of this host may have changed.
  void Look(HostId host, const SimDisk::Records& disk);
  // The disk was erased: who comes back is another node, and a decision that was on this disk alone never was.
  void Forget(HostId host);

 private:
  struct Seen {
    std::optional<PaxosRecord> paxos;
    std::optional<CouncilMemory> council;
  };
  struct Vote {
    AcceptedValue value;
    absl::btree_set<PaxosNodeId> voters;
  };

  struct Decision {
    CouncilState state;
    absl::btree_set<HostId> hosts;  // that have had it on disk
  };

  void TakeElection(HostId host, const PaxosRecord& record, Seen& seen);
  void TakeRing(HostId host, const RingRecord& record, Seen& seen);
  void TakeFirstRing(HostId host, const RingRecord& record);
  void TakeCouncil(HostId host, const CouncilMemory& memory, Seen& seen);
  template <typename... Parts>
  void Broken(HostId host, const Parts&... parts);

  const std::optional<std::size_t> quorum_;
  Trace& trace_;
  absl::btree_map<HostId, Seen> seen_;
  absl::btree_map<ProposalId, Vote> votes_;
  std::optional<std::vector<PeerName>> seeds_;  // of the first ring that was on any disk
  absl::btree_map<CouncilId, Decision> decisions_;
};

}  // namespace weave::sim
