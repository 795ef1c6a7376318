#include "fastdp/datapath.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "fastdp/heartbeat.h"
#include "fastdp/ipsec_command.h"
#include "fastdp/tunnel_id.h"
#include "overlay/fragmentation.h"

namespace weave {
namespace {

bool IsLocal(const Vport& vport) { return vport.kind == VportKind::kNetdev || vport.kind == VportKind::kInternal; }

}  // namespace

Datapath::Datapath(MonotonicTime start, std::uint16_t vxlan_port, PacketRouter& router, FrameCarrier& user_space,
                   DatapathEvents& events, Logger& logger)
    : start_(start),
      vxlan_port_(vxlan_port),
      router_(router),
      user_space_(user_space),
      events_(events),
      logger_(logger) {
  CHECK(kLinger < kIpsecLinger);
  router_.macs().AddObserver(*this);
}

Datapath::~Datapath() { router_.macs().RemoveObserver(*this); }

// ---- the kernel's datapath comes and goes ----

absl::Status Datapath::Attach(MonotonicTime now, Dpif& dpif) {
  Detach();
  attaching_ = &dpif;
  return TakeOver(now);
}

// A datapath whose flows are not known is left alone: what is not known to be there cannot be kept true.
absl::Status Datapath::TakeOver(MonotonicTime now) {
  attach_at_ = now + kRepeat;
  // Without tunnels the datapath still has the local bridge.
  const absl::StatusOr<Vport> tunnels = attaching_->EnsureVxlanVport(vxlan_port_);
  if (!tunnels.ok())
    logger_.Warning("no tunnels: frames between hosts go by sleeve", {{"reason", tunnels.status().message()}});
  ASSIGN_OR_RETURN(const std::vector<Vport> vports, attaching_->ListVports());
  ASSIGN_OR_RETURN(const std::vector<FlowStats> found, attaching_->DumpFlows());
  dpif_ = std::exchange(attaching_, nullptr);
  attach_at_.reset();
  vports_.clear();
  local_ports_.clear();
  for (const Vport& vport : vports) OnVportAdded(vport);
  for (auto& [id, tunnel] : tunnels_) Connect(now, id, tunnel);
  AdoptFlows(now, found);
  sweep_at_ = now + kSweepInterval;
  return absl::OkStatus();
}

void Datapath::Detach() {
  dpif_ = attaching_ = nullptr;
  vports_.clear();
  local_ports_.clear();
  local_macs_.clear();
  for (auto& [id, tunnel] : tunnels_) tunnel.vport.reset();
  flows_.Clear();
  undeleted_.clear();
  parted_ends_.clear();
  attach_at_.reset();
  delete_at_.reset();
  connect_at_.reset();
  sweep_at_.reset();
  linger_check_at_.reset();
}

// An earlier run's flows carry packets right now. They stay until we know better, or for so long that we would.
void Datapath::AdoptFlows(MonotonicTime now, const std::vector<FlowStats>& found) {
  for (const FlowStats& flow : found) {
    flows_.Put(flow.key, {flow.actions, now, start_ + kLinger});
    LearnFromFlow(now, flow.key);
  }
  if (!found.empty()) BringForward(linger_check_at_, start_ + kLinger);
  all_doubtful_ = true;
}

void Datapath::OnVportAdded(const Vport& vport) {
  vports_[vport.number] = vport;
  if (IsLocal(vport)) local_ports_.insert(vport.number);
  all_doubtful_ = true;
}

void Datapath::OnVportGone(MonotonicTime now, VportNumber number) {
  const auto vport = vports_.find(number);
  if (vport == vports_.end()) return;
  // By our own port packets come out of every tunnel.
  const bool for_all = vport->second.kind == VportKind::kVxlan && vport->second.udp_port == vxlan_port_;
  vports_.erase(vport);
  local_ports_.erase(number);
  absl::erase_if(local_macs_, [&](const auto& entry) { return entry.second == number; });
  for (auto& [id, tunnel] : tunnels_)
    if (for_all || tunnel.vport == number) Connect(now, id, tunnel);
  all_doubtful_ = true;
}

// ---- what the overlay says ----

void Datapath::OnForwardingChanged(MonotonicTime now) {
  for (const auto& [key, flow] : flows_.flows())
    if (flow.lingers_until.has_value()) LearnFromFlow(now, key);
  all_doubtful_ = true;
}

void Datapath::OnCommand(MonotonicTime now, const FastdpCommand& command) {
  if (const auto* set = std::get_if<SetFastdpTunnel>(&command)) {
    Tunnel& tunnel = tunnels_[set->connection];
    tunnel.set = *set;
    Connect(now, set->connection, tunnel);
    OnTunnelsChanged();
  } else if (const auto* close = std::get_if<CloseFastdpTunnel>(&command)) {
    const auto tunnel = tunnels_.find(close->connection);
    if (tunnel == tunnels_.end()) return;
    parted_ends_[EndsOf(tunnel->second.set)] = now + kLinger;
    BringForward(linger_check_at_, now + kLinger);
    tunnels_.erase(tunnel);
    OnTunnelsChanged();
  } else if (const auto* heartbeat = std::get_if<SendFastdpHeartbeat>(&command)) {
    SendHeartbeat(*heartbeat);
  } else {
    interface_mtu_ = std::get<SetFastdpInterfaceMtu>(command).bytes;
  }
}

void Datapath::OnTunnelsChanged() {
  tunnel_ends_.clear();
  for (const auto& [id, tunnel] : tunnels_) tunnel_ends_.insert(EndsOf(tunnel.set));
  all_doubtful_ = true;
}

void Datapath::Connect(MonotonicTime now, ConnectionId id, Tunnel& tunnel) {
  tunnel.vport.reset();
  if (dpif_ == nullptr) return;
  // Ours, by which its packets come, and the one by which packets leave for a peer that listens on another port.
  for (const std::uint16_t port : {vxlan_port_, tunnel.set.udp_port}) {
    const absl::StatusOr<Vport> vport = dpif_->EnsureVxlanVport(port);
    if (!vport.ok()) {
      tunnel.vport.reset();
      tunnel.refused = true;
      events_.OnTunnelPort({id, vport.status()});
      BringForward(connect_at_, now + kConnectAgain);
      return;
    }
    vports_[vport->number] = *vport;
    tunnel.vport = vport->number;
  }
  if (std::exchange(tunnel.refused, false)) events_.OnTunnelPort({id, absl::OkStatus()});
}

// While our own port is taken, nobody else's is asked for.
void Datapath::ConnectAgain(MonotonicTime now) {
  connect_at_.reset();
  if (!dpif_->EnsureVxlanVport(vxlan_port_).ok()) {
    connect_at_ = now + kConnectAgain;
    return;
  }
  for (auto& [id, tunnel] : tunnels_)
    if (!tunnel.vport.has_value()) Connect(now, id, tunnel);
  all_doubtful_ = true;
}

void Datapath::SendHeartbeat(const SendFastdpHeartbeat& heartbeat) {
  const auto tunnel = tunnels_.find(heartbeat.connection);
  if (tunnel == tunnels_.end() || dpif_ == nullptr || router_.forwarding() == nullptr) return;
  const ForwardingHop hop{tunnel->second.set.remote_peer, heartbeat.connection, {Way::kFastdp}};
  const std::optional<SizedOutput> out = TunnelTo(hop, router_.forwarding()->self, hop.neighbour);
  if (out.has_value()) SendThrough(*out, MakeFastdpHeartbeat(heartbeat.uid, heartbeat.frame_size, heartbeat.test));
  if (!heartbeat.test) LookAtPath(heartbeat.connection, tunnel->second);
}

void Datapath::LookAtPath(ConnectionId id, Tunnel& tunnel) {
  if (!dpif_->can_check_sizes()) return;
  const std::optional<std::size_t> mtu = dpif_->PathMtu(tunnel.set.local, tunnel.set.remote);
  if (!mtu.has_value() || mtu == tunnel.path_mtu) return;
  tunnel.path_mtu = mtu;
  events_.OnPathMtu({id, *mtu});
}

// ---- packets ----

void Datapath::OnMiss(MonotonicTime now, const Upcall& upcall) {
  if (dpif_ == nullptr) return;
  const FlowKey& key = upcall.key;
  if (!vports_.contains(key.in_port)) {
    ++counters_.unknown_ports;
    return;
  }
  if (key.tunnel.has_value() && key.source == MacAddress() && key.destination == MacAddress())
    return OnHeartbeatFrame(upcall);
  if (upcall.too_large_for.has_value()) return OnTooLarge(key, *upcall.too_large_for, upcall.frame);
  ++counters_.misses;
  // Others could name any peer in their tunnel's header.
  if (key.tunnel.has_value() && !IsFromNeighbour(*key.tunnel)) {
    ++counters_.unknown_peers;
    return;
  }
  if (!Learn(now, key)) return;
  Decide(key, decision_);
  Count(decision_);
  const FlowActions fitting = Fit(decision_, upcall.frame);
  if (decision_.settled() && OriginOf(key) == Origin::kHere && IsWorthAFlow(now, key, decision_))
    SendAndInstall(now, upcall.frame, fitting, key, decision_);
  else if (!fitting.empty())
    Execute(upcall.frame, fitting);
  CarryOtherwise(decision_, upcall.frame);
}

void Datapath::OnHeartbeatFrame(const Upcall& upcall) {
  const TunnelKey& tunnel = *upcall.key.tunnel;
  const std::optional<FastdpHeartbeat> heartbeat = ReadFastdpHeartbeat(upcall.frame);
  const std::optional<PeerName> sender = OwnerOf(SourceOfVni(tunnel.vni));
  const std::optional<PeerName> receiver = OwnerOf(DestinationOfVni(tunnel.vni));
  if (!heartbeat.has_value() || !sender.has_value() || receiver != router_.forwarding()->self) {
    ++counters_.unknown_peers;
    return;
  }
  ++counters_.heartbeats;
  events_.OnHeartbeat(
      {*sender, tunnel.destination, tunnel.source, heartbeat->uid, upcall.frame.size(), heartbeat->test});
}

bool Datapath::IsFromNeighbour(const TunnelKey& tunnel) const {
  if (IsOpen(tunnel)) return true;
  const auto first = parted_ends_.lower_bound({tunnel.source, tunnel.destination, PeerName()});
  return first != parted_ends_.end() && first->first.AreOf(tunnel);
}

bool Datapath::IsOpen(const TunnelKey& tunnel) const {
  const auto first = tunnel_ends_.lower_bound({tunnel.source, tunnel.destination, PeerName()});
  return first != tunnel_ends_.end() && first->AreOf(tunnel);
}

bool Datapath::MayBeFrom(PeerName neighbour, const TunnelKey& tunnel) const {
  const TunnelEnds ends{tunnel.source, tunnel.destination, neighbour};
  return tunnel_ends_.contains(ends) || parted_ends_.contains(ends);
}

// False: the frame is not to be believed.
bool Datapath::Learn(MonotonicTime now, const FlowKey& key) {
  const ForwardingSnapshotPtr& forwarding = router_.forwarding();
  if (forwarding == nullptr) return true;
  if (OriginOf(key) != Origin::kHere) doubtful_macs_.insert(key.source);
  if (!key.tunnel.has_value()) {
    if (!router_.LearnCaptured(now, key.source)) return false;
    if (router_.macs().Find(key.source) != forwarding->self) return true;  // no room to remember it
    local_macs_[key.source] = key.in_port;
    return true;
  }
  const std::optional<PeerName> source = OwnerOf(SourceOfVni(key.tunnel->vni));
  if (source.has_value() && source != forwarding->self &&
      OwnerOf(DestinationOfVni(key.tunnel->vni)) == forwarding->self)
    router_.LearnForwarded(now, key.source, *source);
  return true;
}

// A flow that is used, or was made by an earlier run, says where its source is: as a frame would, but it proves nothing
// against frames, of whose source it may be the former place.
void Datapath::LearnFromFlow(MonotonicTime now, const FlowKey& key) {
  if (OriginOf(key) != Origin::kElsewhere) Learn(now + -PacketRouter::kCaptureRest, key);
}

void Datapath::Count(const Decision& decision) {
  if (decision.unknown_peer) ++counters_.unknown_peers;
  if (decision.hairpin) ++counters_.hairpins;
  if (decision.no_way) ++counters_.no_way;
  if (decision.stray) ++counters_.strays;
}

void Datapath::CarryOtherwise(const Decision& decision, ByteView frame) {
  for (const FramePlan::Leg& leg : decision.by_user_space) {
    if (user_space_.Carry(*leg.hop, decision.source, leg.destination, {frame, {}}, decision.broadcast))
      ++counters_.by_user_space;
    else
      ++counters_.no_way;
  }
}

void Datapath::Execute(ByteView frame, const FlowActions& actions) {
  if (!dpif_->Execute(frame, actions).ok()) ++counters_.failures;
}

// A miss of a flow that we have came before it did, or has a VLAN tag, which no flow of ours matches; or it says that
// somebody deleted it.
bool Datapath::IsWorthAFlow(MonotonicTime now, const FlowKey& key, const Decision& decision) const {
  const FlowTable::Flow* known = flows_.Find(key);
  if (known == nullptr) return flows_.size() < kMaxFlowCount;
  return known->actions != decision.actions || now - known->made_at >= kRepeat;
}

void Datapath::SendAndInstall(MonotonicTime now, ByteView frame, const FlowActions& fitting, const FlowKey& key,
                              const Decision& decision) {
  Dpif::Handled handled;
  if (fitting.empty())
    handled.put = dpif_->PutFlow(key, decision.actions);
  else
    handled = dpif_->ExecuteAndPutFlow(frame, fitting, key, decision.actions);
  if (!handled.executed.ok()) ++counters_.failures;
  if (!handled.put.ok()) {
    ++counters_.failures;
    return;
  }
  ++counters_.flows_made;
  flows_.Put(key, {decision.actions, now, std::nullopt});
  undeleted_.erase(key);
}

// ---- for the other ways ----

bool Datapath::Carry(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
                     bool broadcast) {
  CHECK(frame.offload.none());
  if (dpif_ == nullptr) return false;
  const std::optional<SizedOutput> out = TunnelTo(hop, source, destination);
  if (!out.has_value()) return false;
  SendIfFitting(*out, broadcast, frame.bytes);
  return true;
}

void Datapath::Inject(const Frame& frame) {
  CHECK(frame.offload.none());
  if (dpif_ == nullptr || frame.bytes.size() < kEthernetHeaderSize) return;
  ++counters_.injected;
  // Neighbours know what containers here take of tunnels' frames; sleeve does not.
  if (frame.bytes.size() <= interface_mtu_ + kEthernetHeaderSize) return SendLocally(frame.bytes);
  if (Cut(frame.bytes, interface_mtu_, [this](ByteView piece) { SendLocally(piece); })) return;
  Refuse(frame.bytes, interface_mtu_, DestinationOf(frame.bytes).IsMulticast(),
         router_.macs().Find(SourceOf(frame.bytes)), router_.forwarding()->self);
}

void Datapath::SendLocally(ByteView frame) {
  Decision decision;
  AddLocal(DestinationOf(frame), std::nullopt, decision);
  if (!decision.actions.empty()) Execute(frame, decision.actions);
}

// ---- frames that are too large ----

// By a flow: copies for other tunnels have their own size and come up by themselves.
void Datapath::OnTooLarge(const FlowKey& key, std::uint32_t vni, ByteView frame) {
  Decide(key, decision_);
  for (const FlowAction& action : decision_.actions) {
    const auto* tunnel = std::get_if<SizedOutput>(&action);
    if (tunnel != nullptr && tunnel->tunnel.vni == vni) return SendIfFitting(*tunnel, decision_.broadcast, frame);
  }
}

// What of the decision this frame is small enough for; the rest refuses or cuts it. A frame of ours has no port of
// entry, so the kernel could not say later what was too large.
FlowActions Datapath::Fit(const Decision& decision, ByteView frame) {
  FlowActions fitting;
  for (const FlowAction& action : decision.actions) {
    const auto* tunnel = std::get_if<SizedOutput>(&action);
    if (tunnel == nullptr) {
      fitting.push_back(action);
    } else if (frame.size() > tunnel->max_frame_size) {
      RefuseOrCut(*tunnel, decision.broadcast, frame);
    } else {
      fitting.emplace_back(SetTunnel{tunnel->tunnel});
      fitting.emplace_back(Output{tunnel->port});
    }
  }
  return fitting;
}

void Datapath::SendIfFitting(const SizedOutput& tunnel, bool broadcast, ByteView frame) {
  if (frame.size() > tunnel.max_frame_size)
    RefuseOrCut(tunnel, broadcast, frame);
  else
    SendThrough(tunnel, frame);
}

// As sleeve does (spec/overlay.md section 2.7).
void Datapath::RefuseOrCut(const SizedOutput& tunnel, bool broadcast, ByteView frame) {
  const std::size_t mtu = tunnel.max_frame_size - kEthernetHeaderSize;
  if (Cut(frame, mtu, [&](ByteView piece) { SendThrough(tunnel, piece); })) return;
  Refuse(frame, mtu, broadcast, OwnerOf(SourceOfVni(tunnel.tunnel.vni)), OwnerOf(DestinationOfVni(tunnel.tunnel.vni)));
}

// False: it may not be cut.
bool Datapath::Cut(ByteView frame, std::size_t mtu, absl::FunctionRef<void(ByteView)> send) {
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame);
  if (!ip.has_value() || ip->dont_fragment || mtu < ip->header_size + 8 || ip->packet_size == ip->header_size)
    return false;
  ++counters_.fragmented;
  Ipv4Fragmenter fragmenter(frame, *ip, mtu);
  while (!fragmenter.done()) {
    fragment_.resize(fragmenter.next_size());
    fragmenter.WriteNext(MutableBytes(fragment_));
    send(fragment_);
  }
  return true;
}

// Its sender hears, in the name of `destination`, what may pass.
void Datapath::Refuse(ByteView frame, std::size_t mtu, bool broadcast, std::optional<PeerName> source,
                      std::optional<PeerName> destination) {
  if (broadcast) {
    ++counters_.too_big_broadcasts;
    return;
  }
  ++counters_.too_big;
  const std::optional<Bytes> answer = AnswerTooLarge(frame, mtu);
  if (!answer.has_value() || !source.has_value() || !destination.has_value()) return;
  ++counters_.icmp_sent;
  router_.Return(*destination, *source, {*answer, {}}, *this);
}

void Datapath::SendThrough(const SizedOutput& tunnel, ByteView frame) {
  Execute(frame, {SetTunnel{tunnel.tunnel}, Output{tunnel.port}});
}

void Datapath::Send(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
                    bool broadcast) {
  const bool by_kernel = hop.ways.front() == Way::kFastdp && Carry(hop, source, destination, frame, broadcast);
  if (!by_kernel && !user_space_.Carry(hop, source, destination, frame, broadcast)) ++counters_.no_way;
}

// ---- flows stay true ----

void Datapath::OnMacForgotten(const MacAddress& mac) {
  doubtful_macs_.insert(mac);
  local_macs_.erase(mac);
}

void Datapath::Flush(MonotonicTime now) {
  if (dpif_ == nullptr) {
    all_doubtful_ = false;
    doubtful_macs_.clear();
    return;
  }
  if (std::exchange(all_doubtful_, false)) {
    doubtful_macs_.clear();
    for (const FlowKey& key : flows_.Keys()) Review(now, key);
  }
  for (const MacAddress& mac : std::exchange(doubtful_macs_, {}))
    for (const FlowKey& key : flows_.KeysWith(mac)) Review(now, key);
}

void Datapath::Review(MonotonicTime now, const FlowKey& key) {
  FlowTable::Flow* flow = flows_.Find(key);
  if (flow == nullptr) return;
  Decide(key, decision_);
  if (OriginOf(key) == Origin::kHere && decision_.settled()) {
    flow->lingers_until.reset();
    if (flow->actions == decision_.actions) return;
    if (!dpif_->PutFlow(key, decision_.actions).ok()) {
      ++counters_.failures;
      return Delete(now, key, &DatapathCounters::flows_deleted);
    }
    flow->actions = decision_.actions;
    ++counters_.flows_changed;
    return;
  }
  if (!MayLinger(key, decision_, *flow)) return Delete(now, key, &DatapathCounters::flows_deleted);
  if (flow->lingers_until.has_value() && now >= *flow->lingers_until)
    return Delete(now, key, &DatapathCounters::flows_deleted);
  const bool other_way = !decision_.by_user_space.empty() && !decision_.unproven_way && !decision_.unknown_destination;
  BringForward(flow->lingers_until, now + (other_way ? kProof : kLinger));
  BringForward(linger_check_at_, *flow->lingers_until);
}

// A flow that stays goes on carrying packets where they do not belong any more.
void Datapath::Delete(MonotonicTime now, const FlowKey& key, std::uint64_t DatapathCounters::*counter) {
  const absl::Status deleted = dpif_->DeleteFlow(key);
  if (!deleted.ok()) {
    ++counters_.failures;
    logger_.Error("a flow of the datapath cannot be deleted", {{"flow", ToString(key)}, {"reason", deleted.message()}});
    undeleted_.insert(key);
    BringForward(delete_at_, now + kRepeat);
  }
  ++(counters_.*counter);
  flows_.Erase(key);
}

void Datapath::DeleteAgain(MonotonicTime now) {
  delete_at_.reset();
  absl::erase_if(undeleted_, [&](const FlowKey& key) { return dpif_->DeleteFlow(key).ok(); });
  if (!undeleted_.empty()) delete_at_ = now + kRepeat;
}

// ---- time ----

void Datapath::OnTimer(MonotonicTime now) {
  if (attach_at_.has_value() && now >= *attach_at_ && TakeOver(now).ok())
    logger_.Info("the kernel's datapath has said what it has, and is used");
  if (dpif_ == nullptr) return;
  if (delete_at_.has_value() && now >= *delete_at_) DeleteAgain(now);
  if (connect_at_.has_value() && now >= *connect_at_) ConnectAgain(now);
  if (sweep_at_.has_value() && now >= *sweep_at_) {
    sweep_at_ = now + kSweepInterval;
    Sweep(now);
  }
  if (linger_check_at_.has_value() && now >= *linger_check_at_) {
    linger_check_at_.reset();
    absl::erase_if(parted_ends_, [&](const auto& parted) { return parted.second <= now; });
    for (const auto& [ends, until] : parted_ends_) BringForward(linger_check_at_, until);
    for (const auto& [key, flow] : flows_.flows())
      if (flow.lingers_until.has_value() && *flow.lingers_until > now)
        BringForward(linger_check_at_, *flow.lingers_until);
    all_doubtful_ = true;
  }
  Flush(now);
}

std::optional<MonotonicTime> Datapath::NextDeadline() const {
  if (dpif_ == nullptr) return attach_at_;
  return Earliest({delete_at_, connect_at_, sweep_at_, linger_check_at_});
}

void Datapath::Sweep(MonotonicTime now) {
  const absl::StatusOr<std::vector<FlowStats>> found = dpif_->DumpFlows();
  if (!found.ok()) {
    ++counters_.failures;
    logger_.Warning("the datapath's flows cannot be read", {{"reason", found.status().message()}});
    return;
  }
  absl::btree_set<FlowKey> in_kernel;
  for (const FlowStats& flow : *found) {
    in_kernel.insert(flow.key);
    if (flows_.Find(flow.key) == nullptr) {  // made by nobody that we know, or not deleted when it should have been
      Delete(now, flow.key, &DatapathCounters::flows_deleted);
    } else if (!flow.used) {
      Delete(now, flow.key, &DatapathCounters::flows_idle);
    } else {
      LearnFromFlow(now, flow.key);
      if (!dpif_->ClearFlowStats(flow.key).ok()) ++counters_.failures;
    }
  }
  for (const FlowKey& key : flows_.Keys())
    if (!in_kernel.contains(key)) flows_.Erase(key);
}

}  // namespace weave
