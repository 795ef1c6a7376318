#include "sim/sim_kernel.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace weave::sim {

absl::Status SimKernel::Ports::Execute(ByteView frame, const FlowActions& actions) {
  if (!exists) return absl::NotFoundError("there is no datapath");
  kernel_.Act(actions, nullptr, frame);
  return absl::OkStatus();
}

std::optional<std::size_t> SimKernel::Ports::PathMtu(const IpAddress&, const IpAddress& remote) {
  return kernel_.events_.PathMtuTo(remote);
}

SimKernel::SimKernel(Wiring wiring, bool checks_sizes, SimKernelEvents& events)
    : wiring_(wiring), events_(events), dpif_(*this) {
  dpif_.checks_sizes = checks_sizes;
  dpif_.exists = false;
}

// ---- what others do ----

void SimKernel::DeleteDatapath() {
  dpif_.exists = false;
  dpif_.flows.clear();
  dpif_.others.clear();
  dpif_.vports.clear();
  bridge_port_.reset();
  by_port_.clear();
  for (auto& [nic, port] : nics_) port.reset();
}

void SimKernel::DeletePort(VportKind kind) {
  for (const auto& [number, vport] : dpif_.vports) {
    if (vport.kind != kind || by_port_.contains(number)) continue;
    const VportNumber gone = number;
    if (bridge_port_ == gone) bridge_port_.reset();
    dpif_.vports.erase(gone);
    return events_.OnVportGone(gone);
  }
}

void SimKernel::Reboot() {
  nics_.clear();
  heard_.clear();
  DeleteDatapath();
}

void SimKernel::MakeParts() {
  if (!has_datapath()) return;
  if (!std::exchange(dpif_.exists, true)) dpif_.Add({0, "datapath", VportKind::kInternal, 0});
  if (wiring_ == Wiring::kBridged && !bridge_port_.has_value()) {
    bridge_port_ = dpif_.Add({0, "vethwe-datapath", VportKind::kNetdev, 0}).number;
    events_.OnVportAdded(dpif_.vports.at(*bridge_port_));
  }
  if (wiring_ != Wiring::kDirect) return;
  for (auto nic = nics_.rbegin(); nic != nics_.rend(); ++nic)
    if (!nic->second.has_value()) AddPort(nic->first);
}

// ---- containers ----

void SimKernel::Plug(const MacAddress& nic) {
  nics_[nic].reset();
  if (wiring_ == Wiring::kDirect && datapath_exists()) AddPort(nic);
}

void SimKernel::AddPort(const MacAddress& nic) {
  const Vport vport = dpif_.Add({0, absl::StrCat("vethwl", nic.ToString()), VportKind::kNetdev, 0});
  nics_[nic] = vport.number;
  by_port_[vport.number] = nic;
  events_.OnVportAdded(vport);
}

void SimKernel::Unplug(const MacAddress& nic) {
  const std::optional<VportNumber> port = nics_.at(nic);
  nics_.erase(nic);
  heard_.erase(nic);
  if (!port.has_value()) return;
  by_port_.erase(*port);
  dpif_.vports.erase(*port);
  events_.OnVportGone(*port);
}

bool SimKernel::Takes(const MacAddress& nic, ByteView frame) const {
  const MacAddress destination = DestinationOf(frame);
  return frame.size() <= max_frame_size_ && (destination == nic || destination.IsMulticast());
}

void SimKernel::Send(const MacAddress& nic, ByteView frame) {
  const MacAddress destination = DestinationOf(frame);
  if (wiring_ == Wiring::kDirect) {
    if (const std::optional<VportNumber> port = nics_.at(nic)) Input({*port, std::nullopt, nic, destination}, frame);
    return;
  }
  heard_.insert(nic);
  Flood(frame, nic);
  if (heard_.contains(destination)) return;
  if (wiring_ == Wiring::kCaptured) return events_.OnCaptured(frame);
  if (bridge_port_.has_value()) Input({*bridge_port_, std::nullopt, nic, destination}, frame);
}

void SimKernel::Flood(ByteView frame, std::optional<MacAddress> except) {
  if (!except.has_value()) events_.OnDelivered(frame);
  for (const auto& [nic, port] : nics_)
    if (nic != except && Takes(nic, frame)) events_.OnReceived(nic, frame);
}

// ---- the datapath ----

void SimKernel::Receive(const TunnelKey& tunnel, std::uint16_t udp_port, ByteView frame) {
  for (const auto& [number, vport] : dpif_.vports) {
    if (vport.kind == VportKind::kVxlan && vport.udp_port == udp_port)
      return Input({number, tunnel, SourceOf(frame), DestinationOf(frame)}, frame);
  }
}

void SimKernel::Input(const FlowKey& key, ByteView frame) {
  if (const auto other = dpif_.others.find(key.in_port); other != dpif_.others.end())
    return Act(other->second, nullptr, frame);
  const auto flow = dpif_.flows.find(key);
  if (flow == dpif_.flows.end()) return events_.OnUpcall({key, frame, {}});
  ++flow->second.packets;
  const FlowActions actions = flow->second.actions;
  Act(actions, &key, frame);
}

void SimKernel::Act(const FlowActions& actions, const FlowKey* key, ByteView frame) {
  std::optional<TunnelKey> tunnel;
  for (const FlowAction& action : actions) {
    if (const auto* set = std::get_if<SetTunnel>(&action)) {
      tunnel = set->tunnel;
    } else if (const auto* output = std::get_if<Output>(&action)) {
      Out(output->port, std::exchange(tunnel, std::nullopt), frame);
    } else if (const auto& sized = std::get<SizedOutput>(action); frame.size() <= sized.max_frame_size) {
      Out(sized.port, sized.tunnel, frame);
    } else if (key != nullptr) {
      events_.OnUpcall({*key, frame, sized.tunnel.vni});
    }
  }
}

void SimKernel::Out(VportNumber port, const std::optional<TunnelKey>& tunnel, ByteView frame) {
  const auto vport = dpif_.vports.find(port);
  if (vport == dpif_.vports.end()) return;
  if (vport->second.kind == VportKind::kVxlan) {
    if (tunnel.has_value()) events_.OnTunnelled(*tunnel, vport->second.udp_port, frame);
    return;
  }
  if (vport->second.kind != VportKind::kNetdev) return;
  if (wiring_ == Wiring::kBridged) return Flood(frame, std::nullopt);
  const MacAddress nic = by_port_.at(port);
  events_.OnDelivered(frame);
  if (Takes(nic, frame)) events_.OnReceived(nic, frame);
}

}  // namespace weave::sim
