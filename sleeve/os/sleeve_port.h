// Runs the SleeveForwarder on a thread of its own, between the UDP port and the bridge, so that frames wait for nothing
// that the peer's loop does, and the loop for no frame.
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
#include "io/event_loop.h"
#include "io/fd.h"
#include "io/mutex.h"
#include "sleeve/os/bridge_tap.h"
#include "sleeve/os/udp_port.h"
#include "sleeve/sleeve_forwarder.h"

namespace weave {

// A datagram with DF set was too large for the path.
struct SleeveTooBig {
  SocketAddress remote;
  std::size_t path_mtu_bytes = 0;  // of IPv4 packets, headers included
};

// The interface that was captured on is gone.
struct TapLost {};

struct SleevePortOptions {
  PeerName self;
  std::optional<IpAddress> host;  // where to listen and send from; none: every address
  std::uint16_t port = 6783;
  bool packet_debug = false;  // logs every frame
};

// A picture of the data path, at most half a second old while frames pass.
struct SleeveStats {
  SleeveCounters forwarder;
  PacketRouterCounters router;
  UdpPort::Stats udp;
  std::string interface;  // that is captured on; empty: none
  BridgeTap::Stats tap;
  std::uint64_t lost_notices = 0;  // to the loop, which did not keep up
  std::vector<MacCache::Entry> macs;
};

// Made, called and destroyed on the loop.
class SleevePort final : private SleeveIo, private MacObserver {
 public:
  using Notice = std::variant<SpecialFrameReceived, SleeveTooBig, TapLost>;
  // Called on the loop, never from within a call of this class.
  using OnNotice = absl::AnyInvocable<void(const Notice&)>;

  // References outlive the port.
  SleevePort(EventLoop& loop, const SleevePortOptions& options, OnNotice on_notice, Logger& logger);
  SleevePort(const SleevePort&) = delete;
  SleevePort& operator=(const SleevePort&) = delete;
  // Ends the thread; notices still under way are dropped.
  ~SleevePort() override;

  // Takes the UDP port and starts the thread; an error names the address that is taken or not ours.
  absl::Status Open();

  // For the thread, in order.
  void Perform(ForwardingSnapshotPtr forwarding, const std::vector<SleeveCommand>& commands);
  // From now on frames pass between the network and this interface, instead of the one before.
  void Attach(std::unique_ptr<BridgeTap> tap);

  SleeveStats stats() const;

 private:
  using Task = std::variant<ForwardingSnapshotPtr, SleeveCommand, std::unique_ptr<BridgeTap>>;

  // ---- the thread ----
  void Run();
  void Wait();
  bool TakeTasks();
  void Do(Task task);
  void Receive(MonotonicTime now);
  void Publish(MonotonicTime now);
  void Tell(const Notice& notice);
  void LogFrame(absl::string_view what, ByteView frame);
  void WatchFd(int fd);

  // SleeveIo:
  void Send(DatagramBatch& batch) override;
  void Inject(const FrameBatch& batch) override;
  void OnSpecialFrame(const SpecialFrameReceived& frame) override { Tell(frame); }
  // MacObserver:
  void OnMacMoved(const MacAddress& mac, PeerName to) override;
  void OnMacForgotten(const MacAddress&) override {}

  void Wake();
  void Deliver();

  struct Alive {};

  EventLoop& loop_;
  const SleevePortOptions options_;
  OnNotice on_notice_;  // loop
  Logger& logger_;
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();  // loop

  // The thread's own, once it runs.
  std::unique_ptr<UdpPort> udp_;
  std::unique_ptr<BridgeTap> tap_;
  PacketRouter router_;
  SleeveForwarder forwarder_;
  Fd epoll_;
  Fd wake_;
  struct Ready {
    bool wake = false;
    bool udp = false;
    bool tap = false;
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
  SleeveStats published_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace weave
