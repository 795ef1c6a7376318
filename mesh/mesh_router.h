// The mesh of one peer: its connections, what it knows of the others, and how gossip travels (spec/mesh.md). Events in,
// effects out; PeerCore owns it, drivers carry its bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/entropy.h"
#include "base/gossiper.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/random.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "mesh/connection.h"
#include "mesh/connection_maker.h"
#include "mesh/inventory_gossip.h"
#include "mesh/mesh_output.h"
#include "mesh/mesh_status.h"
#include "mesh/overlay.h"
#include "mesh/peer_set.h"
#include "mesh/routes.h"
#include "mesh/surrogate_gossiper.h"
#include "mesh/topology.h"

namespace weave {

// Between two rounds of telling everything to some neighbours (spec/mesh.md section 8.3).
inline constexpr Duration kGossipInterval = absl::Seconds(30);

struct MeshConfig {
  PeerName name;
  std::string nickname;
  std::uint16_t port = 6783;            // where peers listen
  VersionRange versions;                // protocol versions we speak
  std::optional<std::string> password;  // none: no encryption
  std::vector<Cidr> trusted_subnets;    // see spec/mesh.md section 3.5
  std::size_t connection_limit = 200;   // 0: none
  bool discovery = true;
  bool inventory = true;           // compare states with neighbours that can; false: as a 2.8 peer does
  PeerRecordPool* pool = nullptr;  // outlives the router; shared by many in one process, as in a simulation
};

// Counters since the start, for metrics and tests.
struct MeshStats {
  std::uint64_t messages_sent = 0;  // protocol messages
  std::uint64_t messages_received = 0;
  std::uint64_t bytes_sent = 0;  // as they travel
  std::uint64_t bytes_received = 0;
  std::uint64_t terminations = 0;      // ended connections, those to ourselves not counted
  std::uint64_t dropped_unicasts = 0;  // no route, or in a circle
  std::uint64_t ignored_messages = 0;  // empty, of an unknown tag, or of one channel too many
};

class MeshRouter {
 public:
  // References outlive the router. The peer's uid and the keys come from `entropy`, everything else random from
  // `random`.
  MeshRouter(MeshConfig config, Overlay& overlay, EntropySource& entropy, Random random, Logger& logger);
  MeshRouter(const MeshRouter&) = delete;
  MeshRouter& operator=(const MeshRouter&) = delete;

  // Before Start. `gossiper` outlives the router.
  void AddChannel(absl::string_view name, Gossiper& gossiper);
  // The same for one that compares with neighbours that can, too. Its name has no blank.
  void AddComparingChannel(absl::string_view name, ComparingGossiper& gossiper);

  // First: the periodic gossip begins. `short_id`: ours in an earlier life, if there was one.
  void Start(Now now, std::optional<ShortId> short_id = std::nullopt);
  // Ends every connection and dials no more.
  void Stop(Now now, absl::string_view reason, MeshOutput& out);

  // ---- the transport ----
  void OnConnected(Now now, ConnectionId connection, const SocketAddress& local, MeshOutput& out);
  void OnAccepted(Now now, ConnectionId connection, const SocketAddress& local, const SocketAddress& remote,
                  MeshOutput& out);
  void OnReceived(Now now, ConnectionId connection, ByteView bytes, MeshOutput& out);
  void OnWritable(Now now, ConnectionId connection, MeshOutput& out);
  // The dial failed, or the connection is gone; `reason` is not OK.
  void OnClosed(Now now, ConnectionId connection, const absl::Status& reason, MeshOutput& out);

  // ---- the overlay ----
  void OnOverlay(Now now, const OverlayEstablished& event, MeshOutput& out);
  void OnOverlay(Now now, const OverlayFailed& event, MeshOutput& out);
  void OnOverlay(Now now, const OverlayControl& event, MeshOutput& out);

  // ---- the user ----
  void Connect(Now now, absl::Span<const DirectPeer> peers, bool replace, MeshOutput& out);
  void Forget(Now now, absl::Span<const std::string> texts, MeshOutput& out);

  // ---- the consumers of channels ----
  // NotFound when nobody knows the way.
  absl::Status Unicast(Now now, absl::string_view channel, PeerName destination, ByteView payload, MeshOutput& out);
  void Broadcast(Now now, absl::string_view channel, const GossipData& data, MeshOutput& out);
  void Gossip(Now now, absl::string_view channel, const GossipData& data, MeshOutput& out);

  void OnTimer(Now now, MeshOutput& out);
  std::optional<MonotonicTime> NextDeadline() const;

  // ---- reading ----
  const Topology& topology() const { return topology_; }
  // Looked up in the topology when first asked for after a change that is due.
  const RouteTable& routes() const;
  const MeshStats& stats() const { return stats_; }
  // The connection to a neighbour; none when there is none.
  std::optional<ConnectionId> ConnectionTo(PeerName peer) const;
  // Direct peers as given, in order of their texts.
  std::vector<std::string> DirectPeers() const { return maker_.DirectPeers(/*active_only=*/false); }
  // How many of them are still tried or connected.
  bool AwaitsFirstAnswer() const { return maker_.AwaitsFirstAnswer(); }
  std::size_t ActiveDirectPeerCount() const { return maker_.DirectPeers(/*active_only=*/true).size(); }
  // Changes whenever the routes may have.
  std::uint64_t route_generation() const { return route_generation_; }
  MeshStatus Status(Now now) const;
  std::size_t connection_count() const { return neighbours_.size(); }

  // What must hold between any two events; for tests.
  absl::Status CheckInvariants() const;

 private:
  using Ending = ConnectionMaker::Ending;

  // Why a connection ends, and whether its target is tried again.
  struct Refusal {
    absl::Status status;
    Ending ending = Ending::kFailed;
  };

  struct Live {
    std::unique_ptr<Connection> connection;
    MonotonicTime deadline;  // its entry in `deadlines_`
  };

  struct Channel {
    Gossiper* gossiper = nullptr;
    ComparingGossiper* comparing = nullptr;        // the same, if it can compare
    std::unique_ptr<SurrogateGossiper> surrogate;  // owned when nobody else consumes the channel
  };

  Connection* Find(ConnectionId id);
  void Open(Now now, ConnectionId id, const SocketAddress& local, const SocketAddress& remote, bool accept_new_peer,
            MeshOutput& out);
  void SendAtOnce(Connection& connection, Bytes bytes, MeshOutput& out);
  Refusal TakeEvents(Now now, Connection& connection, MeshOutput& out);
  Refusal Introduce(Now now, Connection& connection, MeshOutput& out);
  Refusal CheckName(const Connection& connection) const;
  Refusal PrepareOverlay(Now now, const Connection& connection);
  Refusal Add(Now now, Connection& connection, bool restarted, MeshOutput& out);
  void End(Now now, ConnectionId id, const Refusal& refusal, bool tell_transport, MeshOutput& out);

  absl::Status HandleMessage(Now now, Connection& connection, ByteView message, MeshOutput& out);
  absl::Status HandleGossip(Now now, Connection& connection, ByteView message, MeshOutput& out);
  absl::Status HandleTopology(Now now, Connection& connection, ByteView payload, MeshOutput& out);
  absl::Status HandleInventory(Connection& connection, ByteView payload);
  absl::Status HandleComparison(Now now, Connection& connection, absl::string_view name, ComparingGossiper& gossiper,
                                ByteView payload);
  ComparingGossiper* FindComparing(const Connection& connection, absl::string_view name) const;
  void RelayUnicast(const Connection& connection, PeerName destination, ByteView message);
  Gossiper* FindChannel(absl::string_view name);
  void Ignore(const Connection& connection, absl::string_view why);

  void Apply(Now now, const TopologyChange& change, MeshOutput& out);
  void ScheduleOwnUpdate(Now now);
  void ScheduleGarbageCollection(Now now);
  void UpdateRoutes(Now now);
  void ScheduleRelay(Now now);
  void RelayTopology(Now now);
  std::vector<Connection*> GossipTargets(PeerName except);
  void TellTopology(Connection& connection, std::optional<PeerSet> peers);
  void TellInventory(Connection& connection, InventoryGossip gossip);
  void Offer(Connection& connection);
  void SendEverything(Now now, Connection& connection);
  void TellState(Now now, absl::string_view name, Gossiper& gossiper, const std::vector<Connection*>& neighbours);
  void SendToNeighbours(absl::string_view channel, PeerName except, const GossipData& data);
  void SendToBroadcastRoute(absl::string_view channel, PeerName source, const GossipData& data);
  void SendPeriodicGossip(Now now);
  void CheckConnections(Now now, MeshOutput& out);
  void Schedule(ConnectionId id, Live& live);

  // The end of every event: routes and targets are looked at when they are due, and what waits is handed over.
  void Finish(Now now, MeshOutput& out);
  void DialTargets(Now now, MeshOutput& out);
  void Pump(Now now, MeshOutput& out);

  void FillPeers(MeshStatus& status) const;
  void FillConnections(Now now, MeshStatus& status) const;

  const MeshConfig config_;
  Overlay& overlay_;
  EntropySource& entropy_;
  Random random_;
  Logger& logger_;

  const PeerUid uid_;
  Topology topology_;
  mutable RouteTable routes_;
  mutable bool routes_are_stale_ = false;
  ConnectionMaker maker_;
  absl::btree_map<std::string, Channel> channels_;
  std::string compared_channels_;  // their names, separated by blanks

  struct Dialling {
    SocketAddress address;
    bool direct = false;
  };
  ConnectionId last_dial_ = kDialledBit;
  absl::btree_map<ConnectionId, Dialling> dialling_;
  absl::btree_map<ConnectionId, Live> connections_;    // connected; introduced or not
  absl::btree_map<PeerName, Connection*> neighbours_;  // those added
  absl::btree_set<ConnectionId> owing_;                // may have something to send
  absl::btree_set<std::pair<MonotonicTime, ConnectionId>> deadlines_;

  std::optional<MonotonicTime> routes_at_;       // the routes are to be recomputed
  std::optional<MonotonicTime> routes_done_at_;  // last time
  std::uint64_t route_generation_ = 0;
  std::optional<MonotonicTime> relay_at_;        // `relays_` are to be sent
  std::optional<MonotonicTime> relayed_at_;      // last time
  std::optional<MonotonicTime> own_update_at_;   // our own record is to be told
  std::optional<MonotonicTime> own_updated_at_;  // last time
  std::optional<MonotonicTime> garbage_at_;
  std::optional<MonotonicTime> gossip_at_;
  absl::btree_set<PeerName> own_update_;       // told with it
  absl::btree_map<PeerName, PeerSet> relays_;  // improved records, by who told us

  MeshStats stats_;
  bool stopped_ = false;
};

}  // namespace weave
