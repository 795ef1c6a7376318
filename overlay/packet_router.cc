#include "overlay/packet_router.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weave {
namespace {

constexpr std::size_t kEthernetHeaderSize = 14;

// IEEE 802.1D: what bridges tell their neighbours.
constexpr MacAddress kSpanningTree(std::array<std::uint8_t, 6>{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00});

MacAddress MacAt(ByteView bytes, std::size_t offset) {
  std::array<std::uint8_t, 6> mac;
  std::copy_n(bytes.data() + offset, mac.size(), mac.begin());
  return MacAddress(mac);
}

}  // namespace

void PacketRouter::SetForwarding(ForwardingSnapshotPtr forwarding) {
  forwarding_ = std::move(forwarding);
  if (routes_.has_value())
    routes_->Update(forwarding_->topology);
  else
    routes_.emplace(forwarding_->self, forwarding_->topology);
}

void PacketRouter::OnCaptured(MonotonicTime now, const Frame& frame, FrameSink& sink) {
  if (frame.bytes.size() < kEthernetHeaderSize) {
    ++counters_.without_header;
    return;
  }
  if (forwarding_ == nullptr) {
    ++counters_.unroutable;
    return;
  }
  const PeerName self = forwarding_->self;
  if (!Learn(now, MacAt(frame.bytes, 6), self, kCaptureRest, sink)) {
    ++counters_.foreign_sources;
    return;
  }
  const MacAddress destination = MacAt(frame.bytes, 0);
  if (destination == kSpanningTree) {
    ++counters_.link_control;
    return;
  }
  const std::optional<PeerName> peer = macs_.Find(destination);
  if (peer == self) {
    ++counters_.local;
  } else if (peer.has_value()) {
    Unicast(self, *peer, frame, sink);
  } else {
    ++(destination.IsMulticast() ? counters_.broadcast : counters_.flooded);
    Broadcast(self, frame, sink);
  }
}

void PacketRouter::OnForwarded(MonotonicTime now, PeerName source, PeerName destination, const Frame& frame,
                               FrameSink& sink) {
  if (frame.bytes.size() < kEthernetHeaderSize) {
    ++counters_.without_header;
    return;
  }
  if (forwarding_ == nullptr) {
    ++counters_.unroutable;
    return;
  }
  const PeerName self = forwarding_->self;
  if (source == self) {
    ++counters_.returned;
    return;
  }
  if (destination != self) return Unicast(source, destination, frame, sink);
  if (source.known()) Learn(now, MacAt(frame.bytes, 6), source, absl::ZeroDuration(), sink);
  sink.Deliver(frame);
  const MacAddress destination_mac = MacAt(frame.bytes, 0);
  if (!destination_mac.IsMulticast() && macs_.Find(destination_mac) == self) return;
  Broadcast(source, frame, sink);
}

void PacketRouter::Return(PeerName source, PeerName destination, const Frame& frame, FrameSink& sink) {
  if (forwarding_ == nullptr) return;
  if (destination == forwarding_->self) return sink.Deliver(frame);
  Unicast(source, destination, frame, sink);
}

void PacketRouter::OnTimer(MonotonicTime now) {
  if (!sweep_at_.has_value() || now < *sweep_at_) return;
  macs_.Sweep(now);
  sweep_at_.reset();
  if (macs_.size() != 0) sweep_at_ = now + MacCache::kSweepInterval;
}

const ForwardingHop* PacketRouter::HopTo(PeerName neighbour) const {
  const std::vector<ForwardingHop>& hops = forwarding_->hops;
  const auto hop = std::lower_bound(hops.begin(), hops.end(), neighbour,
                                    [](const ForwardingHop& h, PeerName name) { return h.neighbour < name; });
  return hop == hops.end() || hop->neighbour != neighbour || hop->ways.empty() ? nullptr : &*hop;
}

void PacketRouter::Unicast(PeerName source, PeerName destination, const Frame& frame, FrameSink& sink) {
  const std::optional<PeerName> next = routes_->NextHop(Links::kEstablished, destination);
  const ForwardingHop* hop = next.has_value() ? HopTo(*next) : nullptr;
  if (hop == nullptr) {
    ++counters_.unroutable;
    return;
  }
  ++counters_.unicast;
  sink.Send(*hop, source, destination, frame, /*broadcast=*/false);
}

void PacketRouter::Broadcast(PeerName source, const Frame& frame, FrameSink& sink) {
  for (const PeerName neighbour : routes_->Broadcast(Links::kEstablished, source)) {
    const ForwardingHop* hop = HopTo(neighbour);
    if (hop == nullptr)
      ++counters_.unroutable;
    else
      sink.Send(*hop, source, neighbour, frame, /*broadcast=*/true);
  }
}

bool PacketRouter::Learn(MonotonicTime now, const MacAddress& mac, PeerName peer, Duration rest, FrameSink& sink) {
  switch (macs_.Learn(now, mac, peer, rest)) {
    case MacCache::Learnt::kKnown:
      return true;
    case MacCache::Learnt::kNew:
      BringForward(sweep_at_, now + MacCache::kSweepInterval);
      return true;
    case MacCache::Learnt::kMoved:
      sink.OnMacMoved(mac, peer);
      return true;
    case MacCache::Learnt::kFull:
      ++counters_.unlearnt_sources;
      return true;
    case MacCache::Learnt::kElsewhere:
      return false;
  }
  return false;
}

}  // namespace weave
