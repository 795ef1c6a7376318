// The data path's thread: carries frames between the bridge, the kernel's datapath and the UDP port, so that frames
// wait for nothing that the peer's loop does, and the loop for no frame. Sleeve's forwarder and the datapath's model
// live on it and share the packet router.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "fastdp/datapath.h"
#include "fastdp/os/ovs_dpif.h"
#include "io/event_loop.h"
#include "io/fd.h"
#include "io/mutex.h"
#include "overlay/packet_router.h"
#include "peer/core/network_event.h"
#include "sleeve/os/bridge_tap.h"
#include "sleeve/os/udp_port.h"
#include "sleeve/sleeve_forwarder.h"

namespace weave {

// The interface that was captured on, or the datapath, is gone.
struct BridgePortLost {};

struct DataPathOptions {
  PeerName self;
  std::optional<IpAddress> host;  // where to listen and send from; none: every address
  std::uint16_t port = 6783;      // UDP of sleeve; the tunnels' is the next one
  bool packet_debug = false;      // logs every frame
};

// A picture of the data path, at most half a second old while frames pass.
struct DataPathStats {
  SleeveCounters sleeve;
  PacketRouterCounters router;
  UdpPort::Stats udp;
  std::string interface;  // that is captured on; empty: none
  BridgeTap::Stats tap;
  bool has_datapath = false;
  DatapathCounters datapath;
  OvsDpif::Stats upcalls;
  std::uint64_t flow_count = 0;
  std::uint64_t lost_notices = 0;  // to the loop, which did not keep up
  std::vector<MacCache::Entry> macs;
};

// Made, called and destroyed on the loop.
class DataPathThread final : private SleeveIo, private MacObserver, private DatapathEvents, private OvsDpif::Events {
 public:
  using Notice = std::variant<NetworkEvent, BridgePortLost>;
  // Called on the loop, never from within a call of this class.
  using OnNotice = absl::AnyInvocable<void(const Notice&)>;

  // References outlive the thread.
  DataPathThread(EventLoop& loop, const DataPathOptions& options, OnNotice on_notice, Logger& logger);
  DataPathThread(const DataPathThread&) = delete;
  DataPathThread& operator=(const DataPathThread&) = delete;
  // Ends the thread; notices still under way are dropped. What the kernel does by itself goes on.
  ~DataPathThread() override;

  // Takes the UDP port and starts the thread; an error names the address that is taken or not ours.
  absl::Status Open();

  // For the thread, in order.
  void Perform(ForwardingSnapshotPtr forwarding, const std::vector<SleeveCommand>& sleeve,
               const std::vector<FastdpCommand>& fastdp);
  // From now on frames pass between the network and this interface, or this datapath, instead of the one before.
  void Attach(std::unique_ptr<BridgeTap> tap);
  void Attach(std::unique_ptr<OvsDpif> dpif);

  DataPathStats stats() const;

 private:
  using Task = std::variant<ForwardingSnapshotPtr, SleeveCommand, FastdpCommand, std::unique_ptr<BridgeTap>,
                            std::unique_ptr<OvsDpif>>;

  // ---- the thread ----
  void Run();
  void Wait();
  bool TakeTasks();
  void Do(MonotonicTime now, Task task);
  void AttachDatapath(MonotonicTime now, std::unique_ptr<OvsDpif> dpif);
  void Receive(MonotonicTime now);
  void LoseTap();
  void LoseDatapath();
  void Publish(MonotonicTime now);
  void Tell(Notice notice);
  void LogFrame(absl::string_view what, ByteView frame);
  void WatchFd(int fd);

  // SleeveIo:
  void Send(DatagramBatch& batch) override;
  void Inject(const FrameBatch& batch) override;
  void OnSpecialFrame(const SpecialFrameReceived& frame) override { Tell(NetworkEvent(frame)); }
  // MacObserver:
  void OnMacLearnt(const MacAddress&) override {}
  void OnMacMoved(const MacAddress& mac, PeerName to) override;
  void OnMacForgotten(const MacAddress&) override {}
  // DatapathEvents:
  void OnHeartbeat(const FastdpHeartbeatReceived& heartbeat) override { Tell(NetworkEvent(heartbeat)); }
  void OnPathMtu(const FastdpPathMtu& path_mtu) override { Tell(NetworkEvent(path_mtu)); }
  void OnTunnelPort(const FastdpTunnelPort& port) override { Tell(NetworkEvent(port)); }
  // OvsDpif::Events:
  void OnUpcall(const Upcall& upcall) override;
  void OnVportAdded(const Vport& vport) override { datapath_.OnVportAdded(vport); }
  void OnVportGone(VportNumber number) override { datapath_.OnVportGone(now_, number); }
  void OnDatapathGone() override { datapath_gone_ = true; }

  void Wake();
  void Deliver();

  struct Alive {};

  EventLoop& loop_;
  const DataPathOptions options_;
  OnNotice on_notice_;  // loop
  Logger& logger_;
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();  // loop

  // The thread's own, once it runs.
  std::unique_ptr<UdpPort> udp_;
  std::unique_ptr<BridgeTap> tap_;
  std::unique_ptr<OvsDpif> dpif_;
  PacketRouter router_;
  SleeveForwarder forwarder_;
  Datapath datapath_;
  bool datapath_gone_ = false;
  MonotonicTime now_;  // of this turn
  Fd epoll_;
  Fd wake_;
  struct Ready {
    bool wake = false;
    bool udp = false;
    bool tap = false;
    bool vports = false;
    bool upcalls = false;
  };
  Ready ready_;
  std::optional<MonotonicTime> published_at_;
  bool unpublished_ = false;

  mutable Mutex mutex_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Notice> notices_ ABSL_GUARDED_BY(mutex_);
  bool delivery_posted_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t lost_notices_ ABSL_GUARDED_BY(mutex_) = 0;
  DataPathStats published_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace weave
