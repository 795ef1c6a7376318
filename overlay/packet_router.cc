#include "overlay/packet_router.h"

#include <algorithm>
#include <array>
#include <utility>

namespace weave {
namespace {

// IEEE 802.1D: what bridges tell their neighbours.
constexpr MacAddress kSpanningTree(std::array<std::uint8_t, 6>{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00});

}  // namespace

void FramePlan::Clear() {
  std::vector<Leg> room = std::move(legs);
  room.clear();
  *this = FramePlan();
  legs = std::move(room);
}

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
  if (!LearnCaptured(now, SourceOf(frame.bytes))) return;
  PlanCaptured(DestinationOf(frame.bytes), plan_);
  Count(plan_);
  SendPlanned(frame, sink);
}

void PacketRouter::OnForwarded(MonotonicTime now, PeerName from, PeerName source, PeerName destination,
                               const Frame& frame, FrameSink& sink) {
  if (frame.bytes.size() < kEthernetHeaderSize) {
    ++counters_.without_header;
    return;
  }
  if (forwarding_ == nullptr) {
    ++counters_.unroutable;
    return;
  }
  if (source == forwarding_->self) {
    ++counters_.returned;
    return;
  }
  if (destination == forwarding_->self) LearnForwarded(now, SourceOf(frame.bytes), source);
  PlanForwarded([from](PeerName neighbour) { return neighbour == from; }, source, destination,
                DestinationOf(frame.bytes), plan_);
  Count(plan_);
  if (plan_.deliver) sink.Deliver(frame);
  SendPlanned(frame, sink);
}

void PacketRouter::Return(PeerName source, PeerName destination, const Frame& frame, FrameSink& sink) {
  if (forwarding_ == nullptr) return;
  if (destination == forwarding_->self) return sink.Deliver(frame);
  FramePlan plan;  // called while the frame that is answered is on its way
  PlanUnicast(source, destination, plan);
  Count(plan);
  for (const FramePlan::Leg& leg : plan.legs) sink.Send(*leg.hop, source, leg.destination, frame, false);
}

void PacketRouter::PlanCaptured(const MacAddress& destination, FramePlan& plan) const {
  plan.Clear();
  if (forwarding_ == nullptr) return;
  plan.source = forwarding_->self;
  if (destination == kSpanningTree) {
    plan.fate = FramePlan::Fate::kLinkControl;
    return;
  }
  const std::optional<PeerName> peer = macs_.Find(destination);
  if (peer == forwarding_->self) {
    plan.fate = FramePlan::Fate::kHere;
  } else if (peer.has_value()) {
    PlanUnicast(forwarding_->self, *peer, plan);
  } else {
    plan.fate = destination.IsMulticast() ? FramePlan::Fate::kBroadcast : FramePlan::Fate::kFlooded;
    PlanBroadcast(forwarding_->self, plan);
  }
}

// While peers have different topologies, each passes a broadcast on to those who do not have it, it believes: in
// circles, and in ever more copies. With one topology for all a broadcast comes to each peer from one neighbour; so
// nothing is lost if only its copy is passed on, and each peer is passed through once however topologies differ, unless
// their errors close a circle.
void PacketRouter::PlanForwarded(absl::FunctionRef<bool(PeerName)> may_be_from, PeerName source, PeerName destination,
                                 const MacAddress& destination_mac, FramePlan& plan) const {
  plan.Clear();
  plan.source = source;
  if (forwarding_ == nullptr || source == forwarding_->self) return;
  if (destination != forwarding_->self) return PlanUnicast(source, destination, plan);
  plan.deliver = true;
  const bool group = destination_mac.IsMulticast();
  if (!group && macs_.Find(destination_mac) == forwarding_->self) {
    plan.fate = FramePlan::Fate::kHere;
    return;
  }
  plan.fate = group ? FramePlan::Fate::kBroadcast : FramePlan::Fate::kFlooded;
  const std::optional<PeerName> from = routes_->BroadcastFrom(Links::kEstablished, source);
  if (from.has_value() && may_be_from(*from))
    PlanBroadcast(source, plan);
  else
    plan.stray = !routes_->Broadcast(Links::kEstablished, source).empty();
}

bool PacketRouter::LearnCaptured(MonotonicTime now, const MacAddress& mac) {
  if (Learn(now, mac, forwarding_->self, kCaptureRest)) return true;
  ++counters_.foreign_sources;
  return false;
}

void PacketRouter::LearnForwarded(MonotonicTime now, const MacAddress& mac, PeerName peer) {
  if (peer.known()) Learn(now, mac, peer, absl::ZeroDuration());
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

void PacketRouter::PlanUnicast(PeerName source, PeerName destination, FramePlan& plan) const {
  plan.source = source;
  plan.fate = FramePlan::Fate::kUnicast;
  const std::optional<PeerName> next = routes_->NextHop(Links::kEstablished, destination);
  const ForwardingHop* hop = next.has_value() ? HopTo(*next) : nullptr;
  if (hop == nullptr)
    ++plan.unroutable;
  else
    plan.legs.push_back({hop, destination});
}

void PacketRouter::PlanBroadcast(PeerName source, FramePlan& plan) const {
  for (const PeerName neighbour : routes_->Broadcast(Links::kEstablished, source)) {
    const ForwardingHop* hop = HopTo(neighbour);
    if (hop == nullptr)
      ++plan.unroutable;
    else
      plan.legs.push_back({hop, neighbour});
  }
}

// A forwarded frame that is for us alone, or is passed on to others as well, counts as nothing here.
void PacketRouter::Count(const FramePlan& plan) {
  counters_.unroutable += plan.unroutable;
  if (plan.stray) ++counters_.strays;
  if (plan.fate == FramePlan::Fate::kUnicast && !plan.legs.empty()) ++counters_.unicast;
  if (plan.deliver) return;
  if (plan.fate == FramePlan::Fate::kLinkControl) ++counters_.link_control;
  if (plan.fate == FramePlan::Fate::kHere) ++counters_.local;
  if (plan.fate == FramePlan::Fate::kBroadcast) ++counters_.broadcast;
  if (plan.fate == FramePlan::Fate::kFlooded) ++counters_.flooded;
}

// `plan_`; the sink may have us Return() an answer meanwhile.
void PacketRouter::SendPlanned(const Frame& frame, FrameSink& sink) const {
  const bool broadcast = plan_.fate != FramePlan::Fate::kUnicast;
  for (const FramePlan::Leg& leg : plan_.legs) sink.Send(*leg.hop, plan_.source, leg.destination, frame, broadcast);
}

bool PacketRouter::Learn(MonotonicTime now, const MacAddress& mac, PeerName peer, Duration rest) {
  switch (macs_.Learn(now, mac, peer, rest)) {
    case MacCache::Learnt::kKnown:
    case MacCache::Learnt::kMoved:
      return true;
    case MacCache::Learnt::kNew:
      BringForward(sweep_at_, now + MacCache::kSweepInterval);
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
