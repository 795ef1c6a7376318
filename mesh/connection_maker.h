// Which addresses we dial, and when: the peers the user named, and those others tell of (spec/mesh.md section 9).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "mesh/mesh_status.h"
#include "mesh/overlay.h"
#include "mesh/topology.h"

namespace weave {

// A peer named by the user.
struct DirectPeer {
  std::string text;  // as given: what "forget" and status pages use
  // Where it is; a host name may have several addresses, and none until it is looked up. Port 0: none was given.
  std::vector<SocketAddress> addresses;

  friend bool operator==(const DirectPeer&, const DirectPeer&) = default;
};

class ConnectionMaker {
 public:
  struct Options {
    PeerName self;
    std::uint16_t port = 6783;  // where peers listen unless something else is known
    bool discovery = true;      // also dial peers that only others have told us about
  };

  // Whether and how a target is tried again.
  enum class Ending : std::uint8_t {
    kFailed,  // later
    kNever,   // it is ourselves, or a peer with our name
  };

  struct Attempt {
    SocketAddress address;
    bool direct = false;  // the user named it: it may be a peer nobody has heard of
  };

  // `topology` outlives the maker.
  ConnectionMaker(Options options, const Topology& topology, Random random);

  // ---- the user ----
  void Connect(Now now, absl::Span<const DirectPeer> peers, bool replace);
  void Forget(Now now, absl::Span<const std::string> texts);
  // As given, in order; with `active_only` without those that turned out to be ourselves.
  std::vector<std::string> DirectPeers(bool active_only) const;

  // ---- connections ----
  // The attempt at `address` did not become a connection. `remote`: who answered there, if anybody said so.
  void OnAttemptFailed(Now now, const SocketAddress& address, const absl::Status& reason, Ending ending,
                       PeerName remote = {});
  // A connection was added.
  void OnConnected(ConnectionId connection, PeerName remote, const SocketAddress& address, bool outbound);
  // A connection that was added is gone.
  void OnDisconnected(Now now, ConnectionId connection, const absl::Status& reason, Ending ending);

  // Others told something new: there may be more to dial.
  void OnTopologyChange(Now now);

  // Appends what to dial now; each attempt ends in OnAttemptFailed or OnConnected. To be called after the events above
  // and when the deadline has come.
  void Run(Now now, std::vector<Attempt>& attempts);
  std::optional<MonotonicTime> NextDeadline() const;

  // ---- reading ----
  struct TargetStatus {
    SocketAddress address;
    MeshStatus::ConnectionState state = MeshStatus::ConnectionState::kWaiting;
    absl::Status last_error;          // OK before one has failed
    std::optional<absl::Time> retry;  // kWaiting, kFailed; none: never
  };
  // A peer that the user named has neither answered nor failed to since it was named.
  bool AwaitsFirstAnswer() const;
  // Targets that are neither connected nor suspended.
  std::vector<TargetStatus> Targets(Now now) const;

 private:
  enum class State : std::uint8_t { kWaiting, kAttempting, kConnected, kSuspended };

  struct Target {
    State state = State::kWaiting;
    absl::Status last_error;
    std::optional<MonotonicTime> try_at;  // none: never
    Duration interval;
    PeerName peer;  // who was there last time
  };

  struct Live {
    PeerName remote;
    SocketAddress address;
    bool outbound = false;
  };

  SocketAddress Complete(SocketAddress address) const;
  void TryNow(Now now, Target& target) const;
  void TryLater(Now now, Target& target);
  void AddTarget(Now now, const SocketAddress& address);
  void AddDirectTargets(Now now);
  void AddDiscoveredTargets(Now now);
  void CheckTargets(Now now, std::vector<Attempt>& attempts);

  const Options options_;
  const Topology& topology_;
  Random random_;

  absl::btree_map<std::string, std::vector<SocketAddress>> direct_peers_;
  absl::btree_map<SocketAddress, Target> targets_;
  absl::btree_map<ConnectionId, Live> live_;

  std::optional<MonotonicTime> run_at_;
  std::optional<MonotonicTime> last_run_;

  // Only while Run is at work.
  absl::btree_set<PeerName> connected_;
  absl::btree_set<SocketAddress> valid_;
  absl::btree_set<SocketAddress> direct_;
};

}  // namespace weave
