// The data path of a simulated host: the same forwarder and model of the datapath that the daemon runs on a thread,
// called from the event queue, over a kernel that outlives them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/random.h"
#include "fastdp/datapath.h"
#include "fastdp/tunnel_mtu.h"
#include "peer/core/network_event.h"
#include "sim/datagrams.h"
#include "sim/event_queue.h"
#include "sim/sim_ipsec.h"
#include "sim/sim_kernel.h"
#include "sleeve/sleeve_forwarder.h"

namespace weave::sim {

inline constexpr std::uint16_t kVxlanPort = 6784;

enum class DataPathMutant : std::uint8_t {
  kNone,
  kDeafToRoutes,  // nobody tells the datapath that routes, ways or short ids are others
  kKeepsFlows,    // the kernel says it has deleted flows that it has
  kFlushesFlows,  // a start deletes what an earlier run left, as 2.8's does
  kDropsKeys,     // those of a connection go with it
  kDeafToLoss,    // nobody tells the peer that its datapath is gone
  kDeafToPorts,   // or that a port of it is
  kHidesFlows,    // the kernel does not tell a start what it has
  kKeepsRefused,  // what the kernel once refused to delete it never deletes
  kKeepsPort,     // who has taken the tunnels' port keeps it
  kLosesLarge,    // what is too large for a tunnel does not come up
  kForgetsNics,   // containers come back from a reboot without an interface
};

// Hears what becomes of containers' frames. Called during the data path's calls.
class FrameObserver {
 public:
  virtual ~FrameObserver() = default;
  virtual void OnReceived(HostId host, const MacAddress& nic, ByteView frame) = 0;
  // By a host's bridge, or into a container's port; who is there may not take it.
  virtual void OnDelivered(HostId host, ByteView frame) = 0;
  // False: there are so many that the network loses it.
  virtual bool OnTunnelled(HostId host, ByteView frame, bool clear) = 0;
  // The peer's process has it in hand.
  virtual void OnSeenByPeer(HostId host, ByteView frame) = 0;
};

struct DataPathOptions {
  Wiring wiring = Wiring::kCaptured;
  bool checks_sizes = false;
  bool searches_mtu = false;  // then containers have what their host's peer finds
  DataPathMutant mutant = DataPathMutant::kNone;
};

class SimDataPath final : private SleeveIo, private DatapathEvents, private SimKernelEvents {
 public:
  // References outlive this. `frames`: null where there are none. `on_notice` is called once the data path has done
  // what it was called for.
  SimDataPath(HostId id, const DataPathOptions& options, EventQueue& queue, Datagrams& datagrams, const Random& random,
              FrameObserver* frames, Logger& logger, std::function<void(const NetworkEvent&)> on_notice);

  // The process of `self` starts; of an earlier one there is what the kernel has.
  void Start(PeerName self);
  void Crash();

  void Perform(NetworkOutput& output);

  // ---- containers ----
  void Plug(const MacAddress& nic) { kernel_.Plug(nic), Settle(); }
  void Unplug(const MacAddress& nic);
  // Nothing while the container is away: its machine has started and it has not.
  void Send(const MacAddress& nic, ByteView frame);
  // The largest IP packet that a container here sends, in bytes.
  std::size_t largest_packet() const;

  // ---- what others do to the machine ----
  // Between two processes. Containers come back some time after the next has begun.
  void Reboot();
  void DeleteDatapath();
  // See SimKernel.
  void DeletePort(VportKind kind);
  // The kernel refuses what is asked about flows; `full`: more of them, and other actions. Until the next call.
  void Refuse(const absl::Status& refuse, bool full);
  // Another program has the tunnels' port; it gets it by deleting that, so that the kernel can have it no more.
  void TakePort();
  void ReturnPort();
  // Between two processes: flows from these to each other that another program makes.
  void LeaveForeignFlows(const std::vector<MacAddress>& nics, Random& random);

  bool has_datapath() const { return kernel_.has_datapath(); }
  std::size_t kernel_flow_count() { return kernel_.dpif().flows.size(); }
  // Null: down, or nothing is known yet.
  ForwardingSnapshotPtr forwarding() const { return router_ == nullptr ? nullptr : router_->forwarding(); }
  // Of this run of the peer.
  DatapathCounters counters() const { return datapath_ == nullptr ? DatapathCounters() : datapath_->counters(); }
  // Each flow is what would be decided now, and the kernel has these flows, and others only as long as it refuses to
  // delete them. To be asked between calls; costs nothing when there was none since the last time.
  absl::Status CheckFlows();

 private:
  void Attach();
  void LoseDatapath();
  void ReturnNics();
  void FitInterfaces();
  void MakePartsLater();
  void OnDatagram(const SocketAddress& from, ByteView bytes);
  void OnPacket(const SocketAddress& from, ByteView bytes);
  void TellLater(NetworkEvent notice);
  // In the order of calls with this `until`, some time later, if the same datapath is attached then.
  void ReadLater(MonotonicTime& until, std::function<void()> read);
  void OnTimer();
  void Settle();

  // SleeveIo:
  void Send(DatagramBatch& batch) override;
  void Inject(const FrameBatch& batch) override;
  void OnSpecialFrame(const SpecialFrameReceived& frame) override { notices_.push_back(frame); }
  // DatapathEvents:
  void OnHeartbeat(const FastdpHeartbeatReceived& heartbeat) override { TellLater(heartbeat); }
  void OnPathMtu(const FastdpPathMtu& path_mtu) override { TellLater(path_mtu); }
  void OnTunnelPort(const FastdpTunnelPort& port) override { TellLater(port); }
  // SimKernelEvents:
  void OnUpcall(const Upcall& upcall) override;
  void OnCaptured(ByteView frame) override;
  void OnTunnelled(const TunnelKey& tunnel, std::uint16_t udp_port, ByteView frame) override;
  void OnReceived(const MacAddress& nic, ByteView frame) override;
  void OnDelivered(ByteView frame) override;
  void OnVportAdded(const Vport& vport) override;
  void OnVportGone(VportNumber number) override;
  std::optional<std::size_t> PathMtuTo(const IpAddress& remote) const override;

  MonotonicTime now() const { return queue_.time(); }

  const HostId id_;
  const DataPathOptions options_;
  EventQueue& queue_;
  Datagrams& datagrams_;
  Random random_;
  FrameObserver* const frames_;
  Logger& logger_;
  const std::function<void(const NetworkEvent&)> on_notice_;
  SimKernel kernel_;
  SimIpsec ipsec_;
  absl::btree_set<MacAddress> away_;  // containers that the machine's start has ended, and that come back
  // What routers have told the kernel of paths, and until when it believes them.
  struct HeardMtu {
    std::size_t bytes = 0;
    MonotonicTime until;
  };
  absl::btree_map<IpAddress, HeardMtu> heard_mtus_;
  std::size_t interface_mtu_ = kDefaultTunnelMtu;  // that containers have
  std::size_t wanted_mtu_ = kDefaultTunnelMtu;
  FastdpInterfaces told_interfaces_;
  bool in_order_ = false;  // the host, by this process
  // The kernel refuses to delete; the second: until when what it refused may be there.
  bool refuses_ = false;
  MonotonicTime mended_at_;

  std::uint64_t incarnation_ = 0;
  std::uint64_t attachment_ = 0;                // of the datapath: what another has said is not heard
  std::unique_ptr<PacketRouter> router_;        // null: down
  std::unique_ptr<SleeveForwarder> forwarder_;  // the same
  std::unique_ptr<Datapath> datapath_;          // the same, or there is none
  std::vector<SpecialFrameReceived> notices_;
  bool unchecked_ = false;       // flows, since a turn
  MonotonicTime changes_until_;  // of ports, as they are read in order
  MonotonicTime upcalls_until_;  // the same; changes are read first
  std::optional<MonotonicTime> timer_;
};

}  // namespace weave::sim
