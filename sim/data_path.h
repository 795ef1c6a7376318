// The data path of a simulated host: the same forwarder that the daemon runs on a thread, called from the event queue.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/peer_name.h"
#include "peer/core/network_event.h"
#include "sim/datagrams.h"
#include "sim/event_queue.h"
#include "sleeve/sleeve_forwarder.h"

namespace weave::sim {

class SimDataPath final : private SleeveIo {
 public:
  // References outlive this. `on_notice` is called once the forwarder has done what it was called for.
  SimDataPath(HostId id, EventQueue& queue, Datagrams& datagrams, std::function<void(const NetworkEvent&)> on_notice)
      : id_(id), queue_(queue), datagrams_(datagrams), on_notice_(std::move(on_notice)) {}

  // The process of `self` starts; what there was of an earlier one is gone.
  void Start(PeerName self);
  void Crash();

  void Perform(NetworkOutput& output);

 private:
  void OnDatagram(const SocketAddress& from, ByteView bytes);

  // SleeveIo:
  void Send(DatagramBatch& batch) override;
  void Inject(const FrameBatch&) override {}
  void OnSpecialFrame(const SpecialFrameReceived& frame) override { notices_.push_back(frame); }

  const HostId id_;
  EventQueue& queue_;
  Datagrams& datagrams_;
  const std::function<void(const NetworkEvent&)> on_notice_;
  std::unique_ptr<PacketRouter> router_;        // null: down
  std::unique_ptr<SleeveForwarder> forwarder_;  // the same
  std::vector<SpecialFrameReceived> notices_;
};

}  // namespace weave::sim
