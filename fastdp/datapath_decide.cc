// What a packet meets: a function of its key and of what is known now, without effects.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "fastdp/datapath.h"
#include "fastdp/tunnel_id.h"

namespace weave {

void Datapath::Decide(const FlowKey& key, Decision& decision) const {
  decision.actions.clear();
  decision.by_user_space.clear();
  decision.source = PeerName();
  decision.broadcast = decision.unknown_destination = decision.unknown_peer = decision.parted = decision.hairpin =
      decision.no_way = decision.unproven_way = decision.stray = false;
  if (key.tunnel.has_value())
    DecideForwarded(key, decision);
  else
    DecideCaptured(key, decision);
}

void Datapath::DecideCaptured(const FlowKey& key, Decision& decision) const {
  router_.PlanCaptured(key.destination, plan_);
  switch (plan_.fate) {
    case FramePlan::Fate::kNone:
      decision.no_way = true;  // but the other containers of this host can be reached
      decision.unknown_destination = true;
      AddLocal(key.destination, key.in_port, decision);
      return;
    case FramePlan::Fate::kLinkControl:
      return;
    case FramePlan::Fate::kHere:
      if (LocalPortOf(key.destination) == key.in_port)
        decision.hairpin = true;
      else
        AddLocal(key.destination, key.in_port, decision);
      return;
    case FramePlan::Fate::kUnicast:
      break;
    case FramePlan::Fate::kFlooded:
      decision.unknown_destination = true;
      [[fallthrough]];
    case FramePlan::Fate::kBroadcast:
      AddLocal(key.destination, key.in_port, decision);
      break;
  }
  AddLegs(key, plan_, decision);
}

void Datapath::DecideForwarded(const FlowKey& key, Decision& decision) const {
  if (!IsFromNeighbour(*key.tunnel)) {
    decision.unknown_peer = true;
    return;
  }
  decision.parted = !IsOpen(*key.tunnel);
  const std::optional<PeerName> source = OwnerOf(SourceOfVni(key.tunnel->vni));
  const std::optional<PeerName> destination = OwnerOf(DestinationOfVni(key.tunnel->vni));
  if (!source.has_value() || !destination.has_value()) {
    decision.unknown_peer = true;
    return;
  }
  router_.PlanForwarded([&](PeerName neighbour) { return MayBeFrom(neighbour, *key.tunnel); }, *source, *destination,
                        key.destination, plan_);
  if (plan_.fate == FramePlan::Fate::kNone) {  // our own, back again: another route may be right next time
    decision.hairpin = true;
    return;
  }
  decision.unknown_destination = plan_.fate == FramePlan::Fate::kFlooded;
  decision.stray = plan_.stray;
  if (plan_.deliver) AddLocal(key.destination, std::nullopt, decision);
  AddLegs(key, plan_, decision);
}

void Datapath::AddLegs(const FlowKey& key, const FramePlan& plan, Decision& decision) const {
  decision.source = plan.source;
  decision.broadcast = plan.fate != FramePlan::Fate::kUnicast;
  for (const FramePlan::Leg& leg : plan.legs) {
    std::optional<SizedOutput> out;
    // The kernel's way only where it is better than the others.
    if (leg.hop->ways.front() == Way::kFastdp) out = TunnelTo(*leg.hop, plan.source, leg.destination);
    if (!out.has_value()) {
      decision.by_user_space.push_back(leg);
      decision.unproven_way = !decision.broadcast && leg.hop->ways == std::vector<Way>{Way::kFastdp};
      continue;
    }
    if (key.tunnel.has_value() && out->tunnel.vni == key.tunnel->vni && out->tunnel.destination == key.tunnel->source)
      decision.hairpin = true;
    else
      AddTunnel(*out, decision.actions);
  }
  if (plan.fate == FramePlan::Fate::kUnicast && plan.legs.empty()) decision.no_way = true;
}

void Datapath::AddLocal(const MacAddress& destination, std::optional<VportNumber> except, Decision& decision) const {
  if (!destination.IsMulticast()) {
    if (const std::optional<VportNumber> port = LocalPortOf(destination)) {
      decision.actions.emplace_back(Output{*port});
      return;
    }
    decision.unknown_destination = true;
  }
  for (const VportNumber port : local_ports_)
    if (port != except) decision.actions.emplace_back(Output{port});
}

std::optional<SizedOutput> Datapath::TunnelTo(const ForwardingHop& hop, PeerName source, PeerName destination) const {
  const auto tunnel = tunnels_.find(hop.connection);
  if (tunnel == tunnels_.end() || !tunnel->second.vport.has_value()) return std::nullopt;
  const ForwardingSnapshotPtr& forwarding = router_.forwarding();
  if (forwarding == nullptr || forwarding->short_ids == nullptr) return std::nullopt;
  const std::optional<ShortId> from = forwarding->short_ids->IdOf(source);
  const std::optional<ShortId> to = forwarding->short_ids->IdOf(destination);
  if (!from.has_value() || !to.has_value()) return std::nullopt;
  const SetFastdpTunnel& set = tunnel->second.set;
  const std::size_t max_frame_size = std::min<std::size_t>(set.mtu + kEthernetHeaderSize, 65535);
  return SizedOutput{
      {MakeVni(*from, *to), set.local, set.remote}, *tunnel->second.vport, static_cast<std::uint16_t>(max_frame_size)};
}

// Without a check of sizes the kernel drops what the path does not carry.
void Datapath::AddTunnel(const SizedOutput& tunnel, FlowActions& actions) const {
  if (dpif_ != nullptr && dpif_->can_check_sizes()) {
    actions.emplace_back(tunnel);
    return;
  }
  actions.emplace_back(SetTunnel{tunnel.tunnel});
  actions.emplace_back(Output{tunnel.port});
}

std::optional<PeerName> Datapath::OwnerOf(ShortId id) const {
  const ForwardingSnapshotPtr& forwarding = router_.forwarding();
  if (forwarding == nullptr || forwarding->short_ids == nullptr) return std::nullopt;
  return forwarding->short_ids->OwnerOf(id);
}

std::optional<VportNumber> Datapath::LocalPortOf(const MacAddress& mac) const {
  const ForwardingSnapshotPtr& forwarding = router_.forwarding();
  if (forwarding == nullptr || router_.macs().Find(mac) != forwarding->self) return std::nullopt;
  const auto port = local_macs_.find(mac);
  if (port == local_macs_.end()) return std::nullopt;
  return port->second;
}

Datapath::Origin Datapath::OriginOf(const FlowKey& key) const {
  const std::optional<PeerName> peer = router_.macs().Find(key.source);
  if (key.tunnel.has_value()) {
    const std::optional<PeerName> source = OwnerOf(SourceOfVni(key.tunnel->vni));
    const std::optional<PeerName> destination = OwnerOf(DestinationOfVni(key.tunnel->vni));
    const bool for_us = destination.has_value() && destination == router_.forwarding()->self;
    if (source.has_value() && !for_us) return Origin::kHere;  // a relay learns nothing
    if (!peer.has_value() || !source.has_value()) return Origin::kUnknown;
    return peer == source ? Origin::kHere : Origin::kElsewhere;
  }
  if (!peer.has_value()) return Origin::kUnknown;
  if (peer != router_.forwarding()->self) return Origin::kElsewhere;
  const std::optional<VportNumber> port = LocalPortOf(key.source);
  if (!port.has_value()) return Origin::kUnknown;
  return port == key.in_port ? Origin::kHere : Origin::kElsewhere;
}

bool Datapath::MayLinger(const FlowKey& key, const Decision& decision, const FlowTable::Flow& flow) const {
  if (OriginOf(key) == Origin::kElsewhere) return false;
  if (decision.no_way || decision.unproven_way || decision.unknown_peer || decision.parted) return true;
  // Of an earlier run: what it was made of may not have been heard of again.
  if (!flow.lingers_until.has_value() || decision.hairpin) return false;
  // To send it to everybody is no better knowledge.
  return decision.by_user_space.empty() || decision.unknown_destination || TakesTheTunnelOf(flow, decision);
}

// Sleeve is usually proven first. A flow through the tunnel that is about to be proven need not go and come again, nor
// one through that of the connection before: with keys, its successor takes a while to open.
bool Datapath::TakesTheTunnelOf(const FlowTable::Flow& flow, const Decision& decision) const {
  if (decision.broadcast || decision.by_user_space.size() != 1 || flow.actions.empty()) return false;
  const FramePlan::Leg& leg = decision.by_user_space.front();
  const std::optional<SizedOutput> out = TunnelTo(*leg.hop, decision.source, leg.destination);
  const auto* sized = std::get_if<SizedOutput>(&flow.actions.front());
  if (out.has_value() && sized != nullptr)  // what the path carries is yet to be found
    return flow.actions.size() == 1 && sized->tunnel == out->tunnel && sized->port == out->port;
  if (out.has_value()) return flow.actions == FlowActions{SetTunnel{out->tunnel}, Output{out->port}};
  const auto* set = std::get_if<SetTunnel>(&flow.actions.front());
  if (flow.actions.size() != (sized != nullptr ? 1 : 2) || (sized == nullptr && set == nullptr)) return false;
  const TunnelKey& tunnel = sized != nullptr ? sized->tunnel : set->tunnel;
  return parted_ends_.contains({tunnel.destination, tunnel.source, leg.hop->neighbour}) &&
         OwnerOf(SourceOfVni(tunnel.vni)) == decision.source &&
         OwnerOf(DestinationOfVni(tunnel.vni)) == leg.destination;
}

absl::Status Datapath::CheckFlows(MonotonicTime now) const {
  Decision decision;
  for (const auto& [key, flow] : flows_.flows()) {
    Decide(key, decision);
    if (OriginOf(key) == Origin::kHere && decision.settled()) {
      if (decision.actions == flow.actions) continue;
      return absl::InternalError(absl::StrCat("flow ", ToString(key), ": ", ToString(flow.actions), ", would now be ",
                                              ToString(decision.actions)));
    }
    if (!flow.lingers_until.has_value() || !MayLinger(key, decision, flow))
      return absl::InternalError(
          absl::StrCat("flow ", ToString(key), ": ", ToString(flow.actions), ", would not be made now"));
    if (*flow.lingers_until < now)
      return absl::InternalError(absl::StrCat("flow ", ToString(key), ": ", ToString(flow.actions), ", is too old"));
  }
  return absl::OkStatus();
}

}  // namespace weave
