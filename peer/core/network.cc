#include "peer/core/network.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>
#include <variant>

namespace weave {

namespace {

std::optional<FastdpOverlay> MakeFastdp(const std::optional<FastdpConfig>& config, EntropySource& entropy,
                                        Logger& logger) {
  if (!config.has_value()) return std::nullopt;
  return std::make_optional<FastdpOverlay>(*config, entropy, logger);
}

}  // namespace

Network::Network(MeshConfig config, const std::optional<FastdpConfig>& fastdp, EntropySource& entropy, Logger& logger)
    : fastdp_(MakeFastdp(fastdp, entropy, logger)),
      sleeve_(config.name, logger),
      overlay_(fastdp_.has_value() ? std::vector<SubOverlay*>{&*fastdp_, &sleeve_} : std::vector<SubOverlay*>{&sleeve_},
               &sleeve_, logger),
      mesh_(std::move(config), overlay_, entropy, Random(entropy.Next()), logger) {}

// Containers that come before the first neighbour have what the paths carried last. Should that be too much by now,
// they hear of it as they do when a path becomes narrower.
void Network::Start(Now now, const NetworkMemory& memory, const std::vector<DirectPeer>& peers, NetworkOutput& out) {
  if (memory.interface_mtu.has_value() && interface_mtu().has_value())
    out.interface_mtu = interface_mtu_ = *memory.interface_mtu;
  mesh_.Start(now, memory.short_id);
  mesh_.Connect(now, peers, /*replace=*/true, out.mesh);
  Settle(now, out);
}

void Network::Stop(Now now, absl::string_view reason, NetworkOutput& out) {
  mesh_.Stop(now, reason, out.mesh);
  Settle(now, out);
}

void Network::OnEvent(Now now, const NetworkEvent& event, NetworkOutput& out) {
  struct Handler {
    Network& network;
    Now now;
    MeshOutput& out;

    void operator()(const ConnectionOpened& e) const { network.mesh_.OnConnected(now, e.connection, e.local, out); }
    void operator()(const ConnectionAccepted& e) const {
      network.mesh_.OnAccepted(now, e.connection, e.local, e.remote, out);
    }
    void operator()(const BytesReceived& e) const { network.mesh_.OnReceived(now, e.connection, e.bytes, out); }
    void operator()(const ConnectionWritable& e) const { network.mesh_.OnWritable(now, e.connection, out); }
    void operator()(const ConnectionClosed& e) const { network.mesh_.OnClosed(now, e.connection, e.reason, out); }
    void operator()(const SpecialFrameReceived& e) const { network.sleeve_.OnSpecialFrame(now, e); }
    void operator()(const DatagramTooBig& e) const { network.sleeve_.OnMessageTooBig(now, e.remote, e.path_mtu_bytes); }
    void operator()(const FastdpHeartbeatReceived& e) const {
      if (network.fastdp_.has_value()) network.fastdp_->OnHeartbeat(now, e);
    }
    void operator()(const FastdpPathMtu& e) const {
      if (network.fastdp_.has_value()) network.fastdp_->OnPathMtu(now, e);
    }
    void operator()(const FastdpInterfaces& e) const {
      if (network.fastdp_.has_value()) network.fastdp_->OnInterfaces(e);
    }
    void operator()(const FastdpTunnelPort& e) const {
      if (network.fastdp_.has_value()) network.fastdp_->OnTunnelPort(now, e);
    }
    void operator()(const IpsecNotice& e) const {
      if (network.fastdp_.has_value()) network.fastdp_->OnIpsec(now, e);
    }
  };
  std::visit(Handler{*this, now, out.mesh}, event);
  Settle(now, out);
}

void Network::Connect(Now now, const std::vector<DirectPeer>& peers, bool replace, NetworkOutput& out) {
  mesh_.Connect(now, peers, replace, out.mesh);
  Settle(now, out);
}

void Network::Forget(Now now, const std::vector<std::string>& peers, NetworkOutput& out) {
  mesh_.Forget(now, peers, out.mesh);
  Settle(now, out);
}

absl::Status Network::Unicast(Now now, absl::string_view channel, PeerName destination, ByteView payload,
                              NetworkOutput& out) {
  absl::Status sent = mesh_.Unicast(now, channel, destination, payload, out.mesh);
  Settle(now, out);
  return sent;
}

void Network::Broadcast(Now now, absl::string_view channel, const GossipData& data, NetworkOutput& out) {
  mesh_.Broadcast(now, channel, data, out.mesh);
  Settle(now, out);
}

void Network::OnTimer(Now now, NetworkOutput& out) {
  mesh_.OnTimer(now, out.mesh);
  overlay_.OnTimer(now);
  Settle(now, out);
}

std::optional<std::size_t> Network::interface_mtu() const {
  return fastdp_.has_value() && fastdp_->searches_mtu() ? std::optional(interface_mtu_) : std::nullopt;
}

std::optional<MonotonicTime> Network::NextDeadline() const {
  return Earliest({mesh_.NextDeadline(), overlay_.NextDeadline(), lower_mtu_at_});
}

void Network::Settle(Now now, NetworkOutput& out) {
  for (std::vector<OverlayEvent> events = overlay_.TakeEvents(now); !events.empty();
       events = overlay_.TakeEvents(now)) {
    for (const OverlayEvent& event : events)
      std::visit([&](const auto& e) { mesh_.OnOverlay(now, e, out.mesh); }, event);
  }
  std::vector<SleeveCommand> commands = sleeve_.TakeCommands();
  std::move(commands.begin(), commands.end(), std::back_inserter(out.sleeve));
  if (fastdp_.has_value()) {
    std::vector<FastdpCommand> tunnels = fastdp_->TakeCommands();
    std::move(tunnels.begin(), tunnels.end(), std::back_inserter(out.fastdp));
    std::vector<IpsecCommand> keys = fastdp_->TakeIpsecCommands();
    std::move(keys.begin(), keys.end(), std::back_inserter(out.ipsec));
  }
  RefreshForwarding(out);
  if (!fastdp_.has_value() || !fastdp_->searches_mtu()) return;
  const bool due = lower_mtu_at_.has_value() && now.monotonic >= *lower_mtu_at_;
  if (fastdp_->TakeTouched() || out.forwarding != nullptr || due) RefreshInterfaceMtu(now, out);
}

// What every path to every neighbour carries. A neighbour that says nothing of its interfaces, because it is of 2.8 or
// has no tunnels, may have what 2.8 has.
void Network::RefreshInterfaceMtu(Now now, NetworkOutput& out) {
  if (forwarding_->hops.empty()) return lower_mtu_at_.reset();  // nobody says anything else
  std::size_t least = std::numeric_limits<std::size_t>::max();
  bool searching = false;
  for (const ForwardingHop& hop : forwarding_->hops) {
    const FastdpConnection* connection = fastdp_->Find(hop.connection);
    const bool usable = connection != nullptr && connection->established() && connection->healthy();
    least = std::min(least, usable ? connection->possible_mtu() : kDefaultTunnelMtu);
    searching = searching || (usable && connection->searching_mtu());
  }
  if (least >= interface_mtu_) lower_mtu_at_.reset();
  if (least == interface_mtu_ || (least > interface_mtu_ && searching)) return;
  if (least < interface_mtu_) {
    if (!lower_mtu_at_.has_value()) lower_mtu_at_ = now.monotonic + kMtuPatience;
    if (now.monotonic < *lower_mtu_at_) return;
    lower_mtu_at_.reset();
  }
  interface_mtu_ = least;
  out.interface_mtu = least;
}

void Network::RefreshForwarding(NetworkOutput& out) {
  const std::shared_ptr<const TopologyView>& topology = mesh_.routes().view();
  const std::uint64_t generation = overlay_.generation();
  const bool same_ids = !RefreshShortIds();
  if (forwarding_ != nullptr && forwarding_->topology == topology && ways_generation_ == generation && same_ids) return;
  std::vector<ForwardingHop> hops = overlay_.Hops();
  // Of two connections to a peer the mesh uses one.
  std::erase_if(hops, [&](const ForwardingHop& hop) { return mesh_.ConnectionTo(hop.neighbour) != hop.connection; });
  std::sort(hops.begin(), hops.end(),
            [](const ForwardingHop& a, const ForwardingHop& b) { return a.neighbour < b.neighbour; });
  ways_generation_ = generation;
  forwarding_ = std::make_shared<const ForwardingSnapshot>(
      ForwardingSnapshot{mesh_.topology().self(), topology, std::move(hops), short_ids_});
  out.forwarding = forwarding_;
}

// Only tunnels name peers by short ids. True: they differ.
bool Network::RefreshShortIds() {
  const ShortIdTable& short_ids = mesh_.topology().short_ids();
  if (!fastdp_.has_value() || std::exchange(short_ids_generation_, short_ids.generation()) == short_ids.generation())
    return false;
  short_ids_ = std::make_shared<const ShortIdMap>(short_ids.Owners());
  return true;
}

}  // namespace weave
