// Checkers of names: they look at every peer's registry and know what callers were told.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "base/time.h"
#include "dns/name_entry.h"
#include "sim/sim_host.h"
#include "sim/trace.h"

namespace weave::sim {

// A name that somebody is to answer to: as it is spelled, at its address, by the peer that has it.
using LiveName = std::tuple<PeerName, std::string, std::uint32_t>;
using LiveNames = absl::btree_set<LiveName>;

// In one life of a peer: what it has once heard to be deleted does not come back in the version it had, for as long as
// the name's peer is known; and there are no names of peers that are not.
class NameChecker {
 public:
  explicit NameChecker(Trace& trace) : trace_(trace) {}

  // After every event; costs nothing where no name has changed.
  void Look(const SimHost& host);

 private:
  using Key = std::tuple<PeerName, std::string, std::string, std::uint32_t>;  // origin, hostname, container, address

  struct State {
    bool alive = false;
    std::int64_t version = -1;  // of the entry, or at least of its tombstone
    MonotonicTime since;
  };
  struct Peer {
    std::uint64_t life = 0;
    std::uint64_t generation = 0;
    absl::btree_map<Key, State> states;
  };

  void Take(const SimHost& host, const NameEntry& entry, Peer& peer);

  Trace& trace_;
  absl::btree_map<HostId, Peer> peers_;
};

// Each peer answers for exactly these. OK, or Internal naming the first that is missing or too much.
absl::Status CheckNames(const std::vector<const SimHost*>& hosts, const LiveNames& expected);

}  // namespace weave::sim
