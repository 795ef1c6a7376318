// Our own names in the network: registers those of containers when their addresses are there, takes them back when the
// addresses are gone, and keeps the records from which the next start has them again.
//
// A name is worth less than an address: no answer waits for its record, and a start can do without. Part of PeerCore;
// see there for threads.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "base/log.h"
#include "base/time.h"
#include "dns/name_registry.h"
#include "peer/core/address_index.h"
#include "peer/core/address_planner.h"
#include "peer/core/endpoint_table.h"
#include "peer/core/peer_output.h"

namespace weave {

// Whose names no container has: they stay until somebody takes them back (spec/dns.md section 1).
inline constexpr char kExternName[] = "weave:extern";

class NameKeeper {
 public:
  // References outlive the keeper.
  NameKeeper(PeerName self, std::string domain, const KnownPeers& peers, const AddressIndex& addresses,
             const EndpointTable& endpoints, Logger& logger, Duration tombstone_life = kTombstoneLife);

  // At start, when the tables have taken over what they found. Of holders that are not on record here nobody knows
  // whether they live: they keep their names, and the shell asks (HoldersToCheck).
  void Restore(const std::vector<NameRecord>& records, PeerOutput& out);

  void OnAdd(const AddNameRequest& request);
  void OnRemove(Now now, const RemoveNamesRequest& request);
  // An attach or expose with a name is under way.
  void Expect(RequestId id, std::string holder, std::string hostname);

  // At the end of every event: answers stand in `out`, and what interfaces let go of in `let_go`.
  void Settle(Now now, const AddressPlanner::LetGo& let_go, PeerOutput& out);

  NameRegistry& registry() { return registry_; }
  const NameRegistry& registry() const { return registry_; }

  // Holders of names that are neither ours (`weave:...`) nor attached here.
  std::vector<std::string> HoldersToCheck() const;

  // What is to be on disk, by key.
  absl::btree_map<std::string, Record> Records() const;

 private:
  struct Expected {
    std::string holder;
    std::string hostname;
  };

  bool IsAttached(absl::string_view holder) const;
  bool Lives(const NameRecord& record) const;

  const AddressIndex& addresses_;
  const EndpointTable& endpoints_;
  Logger& logger_;
  NameRegistry registry_;
  absl::btree_map<RequestId, Expected> expected_;
};

}  // namespace weave
