// The kernel's datapath as a model: what it meets for the first time comes here, is sent where it belongs, and becomes
// a flow if everything like it belongs there too (spec/overlay.md section 3). A flow is a cached answer: at any time it
// equals what would be decided now, and when something changes, exactly those flows change whose answer does.
//
// A pure object: misses, ports and the overlay's commands in; packets and flows out through Dpif. The daemon drives it
// on the data path's thread, where it shares the packet router with sleeve.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "fastdp/dpif.h"
#include "fastdp/fastdp_command.h"
#include "fastdp/flow_table.h"
#include "overlay/checksum.h"
#include "overlay/frame_carrier.h"
#include "overlay/packet_router.h"

namespace weave {

// Called back during the datapath's calls; must not call it.
class DatapathEvents {
 public:
  virtual ~DatapathEvents() = default;
  virtual void OnHeartbeat(const FastdpHeartbeatReceived& heartbeat) = 0;
  virtual void OnPathMtu(const FastdpPathMtu& path_mtu) = 0;
  virtual void OnTunnelPort(const FastdpTunnelPort& port) = 0;
};

// Since the start.
struct DatapathCounters {
  std::uint64_t misses = 0;      // without heartbeats
  std::uint64_t heartbeats = 0;  // received
  std::uint64_t flows_made = 0;
  std::uint64_t flows_changed = 0;  // given other actions in place
  std::uint64_t flows_deleted = 0;  // not true any more
  std::uint64_t flows_idle = 0;     // not used for a while
  std::uint64_t by_user_space = 0;  // frames that another way carried
  std::uint64_t injected = 0;       // frames that another way brought
  // Frames that went nowhere, or of whose copies one did not:
  std::uint64_t unknown_peers = 0;  // they came from no neighbour, or their tunnel's short ids mean nobody
  std::uint64_t unknown_ports = 0;
  std::uint64_t hairpins = 0;  // would leave where they came from
  std::uint64_t no_way = 0;
  std::uint64_t strays = 0;              // not passed on: they came from another neighbour than they should have
  std::uint64_t too_big = 0;             // for the tunnel, and not to be cut: their sender was told where it may be
  std::uint64_t too_big_broadcasts = 0;  // of copies for many nobody is told
  // Frames that were too large for a tunnel otherwise:
  std::uint64_t fragmented = 0;
  std::uint64_t icmp_sent = 0;  // "fragmentation needed", "packet too big"
  std::uint64_t failures = 0;   // the kernel refused a packet or a flow
};

class Datapath final : public BridgeCarrier, private MacObserver, private FrameSink {
 public:
  // Flows that nobody used for so long go; those that were used keep their MACs alive.
  static constexpr Duration kSweepInterval = absl::Minutes(5);
  // How long a flow of an earlier run, or one to a peer that cannot be reached, may stay without proof: the time a peer
  // needs to start again and be known to all. Once another way is there, only for as long as the tunnel needs to be
  // proven. A flow must be gone before the keys and rules that keep its packets from leaving in clear (kIpsecLinger).
  static constexpr Duration kLinger = absl::Seconds(45);
  static constexpr Duration kProof = absl::Seconds(10);
  // Between two times that a flow is made although we have it, and that the kernel is asked again for what it refused:
  // what it has, and that a flow goes.
  static constexpr Duration kRepeat = absl::Seconds(1);
  // The same for a tunnel's port: asking for one that another program has takes the kernel's side 40 ms.
  static constexpr Duration kConnectAgain = absl::Seconds(10);
  // Beyond that, frames go by way of us. Containers choose their MACs.
  static constexpr std::size_t kMaxFlowCount = 65'536;

  // `start`: of the process; flows of earlier runs linger from then on. `vxlan_port`: ours. `user_space` carries what
  // the kernel cannot. References outlive the datapath.
  Datapath(MonotonicTime start, std::uint16_t vxlan_port, PacketRouter& router, FrameCarrier& user_space,
           DatapathEvents& events, Logger& logger);
  ~Datapath() override;
  Datapath(const Datapath&) = delete;
  Datapath& operator=(const Datapath&) = delete;

  // From now on this is the kernel's datapath, which outlives us or a Detach(); its flows are taken over, and tunnels
  // that it cannot have are told of one by one. An error: it does not say what it has, and is asked again until it
  // does.
  absl::Status Attach(MonotonicTime now, Dpif& dpif);
  void Detach();
  bool attached() const { return dpif_ != nullptr; }

  // The router has other routes. As for all changes, flows follow in Flush().
  void OnForwardingChanged(MonotonicTime now);
  void OnCommand(MonotonicTime now, const FastdpCommand& command);
  void OnVportAdded(const Vport& vport);
  void OnVportGone(MonotonicTime now, VportNumber number);
  void OnMiss(MonotonicTime now, const Upcall& upcall);
  // Makes every flow true that what happened has made doubtful. After each turn.
  void Flush(MonotonicTime now);

  void OnTimer(MonotonicTime now);
  std::optional<MonotonicTime> NextDeadline() const;

  // ---- BridgeCarrier: for the other ways ----
  bool Carry(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
             bool broadcast) override;
  void Inject(const Frame& frame) override;

  const DatapathCounters& counters() const { return counters_; }
  const FlowTable& flows() const { return flows_; }

  // The proof, after Flush(): OK, or the first flow that differs from what would be decided now, or outstays its time.
  absl::Status CheckFlows(MonotonicTime now) const;

 private:
  struct Tunnel {
    SetFastdpTunnel set;
    std::optional<VportNumber> vport;     // none: the kernel has none for its UDP port
    bool refused = false;                 // for that, and told
    std::optional<std::size_t> path_mtu;  // that was told
  };
  // What frames with one key meet now.
  struct Decision {
    FlowActions actions;
    std::vector<FramePlan::Leg> by_user_space;
    PeerName source;         // of those
    bool broadcast = false;  // those are copies
    bool unknown_destination = false;
    bool unknown_peer = false;
    bool parted = false;  // they come from a neighbour whose tunnel was closed a moment ago
    bool hairpin = false;
    bool no_way = false;        // for all of it
    bool unproven_way = false;  // for all of it: a neighbour that connects, perhaps anew
    bool stray = false;

    // May be a flow.
    bool settled() const {
      return by_user_space.empty() && !unknown_destination && !unknown_peer && !parted && !hairpin && !no_way;
    }
  };
  // Where a frame's source address is known to be.
  enum class Origin { kHere, kElsewhere, kUnknown };

  bool IsFromNeighbour(const TunnelKey& tunnel) const;
  bool IsOpen(const TunnelKey& tunnel) const;
  bool MayBeFrom(PeerName neighbour, const TunnelKey& tunnel) const;
  bool Learn(MonotonicTime now, const FlowKey& key);
  void LearnFromFlow(MonotonicTime now, const FlowKey& key);
  Origin OriginOf(const FlowKey& key) const;
  std::optional<PeerName> OwnerOf(ShortId id) const;
  std::optional<VportNumber> LocalPortOf(const MacAddress& mac) const;

  void Decide(const FlowKey& key, Decision& decision) const;
  void DecideCaptured(const FlowKey& key, Decision& decision) const;
  void DecideForwarded(const FlowKey& key, Decision& decision) const;
  void AddLegs(const FlowKey& key, const FramePlan& plan, Decision& decision) const;
  void AddLocal(const MacAddress& destination, std::optional<VportNumber> except, Decision& decision) const;
  std::optional<SizedOutput> TunnelTo(const ForwardingHop& hop, PeerName source, PeerName destination) const;
  void AddTunnel(const SizedOutput& tunnel, FlowActions& actions) const;

  void Count(const Decision& decision);
  void CarryOtherwise(const Decision& decision, ByteView frame);
  void Execute(ByteView frame, const FlowActions& actions);
  bool IsWorthAFlow(MonotonicTime now, const FlowKey& key, const Decision& decision) const;
  void SendAndInstall(MonotonicTime now, ByteView frame, const FlowActions& fitting, const FlowKey& key,
                      const Decision& decision);
  void Review(MonotonicTime now, const FlowKey& key);
  void Delete(MonotonicTime now, const FlowKey& key, std::uint64_t DatapathCounters::*counter);
  void DeleteAgain(MonotonicTime now);
  bool MayLinger(const FlowKey& key, const Decision& decision, const FlowTable::Flow& flow) const;
  bool TakesTheTunnelOf(const FlowTable::Flow& flow, const Decision& decision) const;

  void OnTooLarge(const FlowKey& key, std::uint32_t vni, ByteView frame);
  FlowActions Fit(const Decision& decision, ByteView frame);
  void SendIfFitting(const SizedOutput& tunnel, bool broadcast, ByteView frame);
  void RefuseOrCut(const SizedOutput& tunnel, bool broadcast, ByteView frame);
  bool Cut(ByteView frame, std::size_t mtu, absl::FunctionRef<void(ByteView)> send);
  void Refuse(ByteView frame, std::size_t mtu, bool broadcast, std::optional<PeerName> source,
              std::optional<PeerName> destination);
  void SendThrough(const SizedOutput& tunnel, ByteView frame);
  void SendLocally(ByteView frame);
  void OnHeartbeatFrame(const Upcall& upcall);
  void SendHeartbeat(const SendFastdpHeartbeat& heartbeat);
  void LookAtPath(ConnectionId id, Tunnel& tunnel);
  absl::Status TakeOver(MonotonicTime now);
  void Connect(MonotonicTime now, ConnectionId id, Tunnel& tunnel);
  void ConnectAgain(MonotonicTime now);
  void OnTunnelsChanged();
  void AdoptFlows(MonotonicTime now, const std::vector<FlowStats>& found);
  void Sweep(MonotonicTime now);

  // ---- FrameSink: for answers ----
  void Deliver(const Frame& frame) override { SendLocally(frame.bytes); }
  void Send(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
            bool broadcast) override;

  // ---- MacObserver ----
  void OnMacLearnt(const MacAddress& mac) override { doubtful_macs_.insert(mac); }
  void OnMacMoved(const MacAddress& mac, PeerName) override { doubtful_macs_.insert(mac); }
  void OnMacForgotten(const MacAddress& mac) override;

  const MonotonicTime start_;
  const std::uint16_t vxlan_port_;
  PacketRouter& router_;
  FrameCarrier& user_space_;
  DatapathEvents& events_;
  Logger& logger_;

  Dpif* dpif_ = nullptr;
  Dpif* attaching_ = nullptr;  // has not said yet what it has
  std::optional<MonotonicTime> attach_at_;
  absl::btree_map<VportNumber, Vport> vports_;
  absl::btree_set<VportNumber> local_ports_;  // the local bridge's side: those of vports_ that are no tunnels
  absl::btree_map<MacAddress, VportNumber> local_macs_;  // which of them; valid while the router says it is ours
  std::size_t interface_mtu_ = kMaxIpv4PacketSize;       // bytes; until it is said, whatever comes
  absl::btree_map<ConnectionId, Tunnel> tunnels_;
  // Of those.
  struct TunnelEnds {
    IpAddress theirs;
    IpAddress ours;
    PeerName neighbour;  // one of several, if they share an address

    bool AreOf(const TunnelKey& tunnel) const { return theirs == tunnel.source && ours == tunnel.destination; }
    friend auto operator<=>(const TunnelEnds&, const TunnelEnds&) = default;
  };
  static TunnelEnds EndsOf(const SetFastdpTunnel& set) { return {set.remote, set.local, set.remote_peer}; }
  absl::btree_set<TunnelEnds> tunnel_ends_;
  // Of tunnels that were closed, and until when what comes through them is still taken: the other end may not know yet,
  // or have opened another already.
  absl::btree_map<TunnelEnds, MonotonicTime> parted_ends_;

  FlowTable flows_;
  bool all_doubtful_ = false;
  absl::btree_set<MacAddress> doubtful_macs_;
  absl::btree_set<FlowKey> undeleted_;  // the kernel has them yet: it refused
  std::optional<MonotonicTime> delete_at_;
  std::optional<MonotonicTime> connect_at_;
  std::optional<MonotonicTime> sweep_at_;
  std::optional<MonotonicTime> linger_check_at_;
  Decision decision_;  // of the packet at hand
  mutable FramePlan plan_;
  Bytes fragment_;
  DatapathCounters counters_;
};

}  // namespace weave
