// What happens to a frame, by the MAC addresses in it and the routes (spec/overlay.md section 5), whichever data path
// it came by. A data path that handles frames hears what to do through FrameSink; one that makes rules for the kernel
// asks for the plan, at any time, and gets what a frame would meet now.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/mac.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "mesh/routes.h"
#include "overlay/forwarding.h"
#include "overlay/frame.h"
#include "overlay/mac_cache.h"

namespace weave {

// The sink is called during the router's calls and does not call it back.
class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // Into the local bridge.
  virtual void Deliver(const Frame& frame) = 0;
  // To a neighbour, in the name of `source`. `broadcast`: it is one of several copies.
  virtual void Send(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
                    bool broadcast) = 0;
};

// What all frames with these addresses meet, as things are now. Legs are valid until the next SetForwarding.
struct FramePlan {
  enum class Fate : std::uint8_t {
    kNone,         // nothing is known of the network yet, or they came back to us
    kLinkControl,  // stay on their link
    kHere,         // of captured ones: for this side of the bridge
    kUnicast,      // to one peer
    kBroadcast,    // to everybody, as their destination asks
    kFlooded,      // to everybody, as nobody knows their destination
  };
  struct Leg {
    const ForwardingHop* hop = nullptr;
    PeerName destination;
  };

  Fate fate = Fate::kNone;
  bool deliver = false;  // of forwarded ones: into the local bridge
  PeerName source;       // in whose name the legs go
  std::vector<Leg> legs;
  std::uint32_t unroutable = 0;  // legs to which there is no way now
  bool stray = false;            // not passed on, for it should have come from another neighbour

  // As new, with the room it has.
  void Clear();
};

// Frames by what was decided. Only the first three went anywhere.
struct PacketRouterCounters {
  std::uint64_t unicast = 0;          // sent to one peer
  std::uint64_t broadcast = 0;        // sent to everybody, as their destination asks
  std::uint64_t flooded = 0;          // sent to everybody, as nobody knows their destination
  std::uint64_t local = 0;            // captured, but for this side of the bridge
  std::uint64_t link_control = 0;     // spanning tree and other frames that stay on their link
  std::uint64_t foreign_sources = 0;  // captured from a MAC that is another peer's: probably injected by ourselves
  std::uint64_t returned = 0;         // forwarded in our own name: they have been here
  std::uint64_t unroutable = 0;       // no way to the destination now
  std::uint64_t strays = 0;           // not passed on: they came from another neighbour than broadcasts of their source
  std::uint64_t without_header = 0;   // shorter than an Ethernet header
  std::uint64_t unlearnt_sources = 0;  // forwarded all the same: the MAC cache is full
};

// One thread. No call allocates per frame, except for a MAC that is new and the fan-out of a source that is.
class PacketRouter {
 public:
  // How long a MAC that was seen at another peer must have been quiet there before frames captured here move it to us:
  // a container that moved is, a frame that came back to us through a loop is not (contract A7-02).
  static constexpr Duration kCaptureRest = absl::Milliseconds(500);

  // From now on, as these routes say.
  void SetForwarding(ForwardingSnapshotPtr forwarding);

  // From the local bridge.
  void OnCaptured(MonotonicTime now, const Frame& frame, FrameSink& sink);
  // From the neighbour `from`. `source` and `destination` are as it says, unchecked.
  void OnForwarded(MonotonicTime now, PeerName from, PeerName source, PeerName destination, const Frame& frame,
                   FrameSink& sink);

  // An answer made here to a frame that `destination` sent to `source`, in the latter's name: to that peer, or into the
  // local bridge when it is ours. Nothing is learnt from it.
  void Return(PeerName source, PeerName destination, const Frame& frame, FrameSink& sink);

  // ---- for whoever decides about frames that it does not see ----

  void PlanCaptured(const MacAddress& destination, FramePlan& plan) const;
  // `may_be_from`: whether the frame may come from this neighbour; asked where it matters.
  void PlanForwarded(absl::FunctionRef<bool(PeerName)> may_be_from, PeerName source, PeerName destination,
                     const MacAddress& destination_mac, FramePlan& plan) const;
  // A frame from `mac` was captured here, or forwarded in the name of `peer`. False: not to be believed; it goes
  // nowhere.
  bool LearnCaptured(MonotonicTime now, const MacAddress& mac);
  void LearnForwarded(MonotonicTime now, const MacAddress& mac, PeerName peer);
  MacCache& macs() { return macs_; }

  void OnTimer(MonotonicTime now);
  // Of the next OnTimer; none while there is nothing to sweep.
  std::optional<MonotonicTime> NextDeadline() const { return sweep_at_; }

  const ForwardingSnapshotPtr& forwarding() const { return forwarding_; }  // null: nowhere to go yet
  const MacCache& macs() const { return macs_; }
  const PacketRouterCounters& counters() const { return counters_; }

 private:
  const ForwardingHop* HopTo(PeerName neighbour) const;
  void PlanUnicast(PeerName source, PeerName destination, FramePlan& plan) const;
  void PlanBroadcast(PeerName source, FramePlan& plan) const;
  void Count(const FramePlan& plan);
  void SendPlanned(const Frame& frame, FrameSink& sink) const;
  bool Learn(MonotonicTime now, const MacAddress& mac, PeerName peer, Duration rest);

  ForwardingSnapshotPtr forwarding_;
  std::optional<RouteTable> routes_;  // of `forwarding_`
  MacCache macs_;
  std::optional<MonotonicTime> sweep_at_;
  FramePlan plan_;  // of the frame at hand
  PacketRouterCounters counters_;
};

}  // namespace weave
