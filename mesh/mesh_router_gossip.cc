// MeshRouter: what arrives over connections, and how gossip goes on (spec/mesh.md sections 4, 6 and 8).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "mesh/mesh_router.h"
#include "mesh/topology_gossip.h"
#include "wire/messages.h"

namespace weave {
namespace {

constexpr absl::string_view kTopologyChannel = "topology";

// Channels without a consumer that we stand in for. Peers of one network have the same few.
constexpr std::size_t kMaxSurrogates = 64;
constexpr std::size_t kMaxChannelNameSize = 255;

}  // namespace

absl::Status MeshRouter::HandleMessage(Now now, Connection& connection, ByteView message, MeshOutput& out) {
  if (message.empty()) {
    Ignore(connection, "empty message");
    return absl::OkStatus();
  }
  switch (static_cast<MessageTag>(message[0])) {
    case MessageTag::kHeartbeat:
      return absl::OkStatus();
    case MessageTag::kSleeveEstablished:
    case MessageTag::kSleeveFragmentationReceived:
    case MessageTag::kSleeveMtuVerified:
    case MessageTag::kOverlayControl:
      return overlay_.OnControl(now, connection.id(), message);
    case MessageTag::kGossip:
    case MessageTag::kGossipUnicast:
    case MessageTag::kGossipBroadcast:
      return HandleGossip(now, connection, message, out);
  }
  Ignore(connection, absl::StrCat("unknown protocol tag ", message[0]));
  return absl::OkStatus();
}

void MeshRouter::Ignore(const Connection& connection, absl::string_view why) {
  ++stats_.ignored_messages;
  logger_.Debug("message ignored", {{"address", connection.remote().ToString()}, {"reason", why}});
}

absl::Status MeshRouter::HandleGossip(Now now, Connection& connection, ByteView message, MeshOutput& out) {
  ASSIGN_OR_RETURN(const GossipMessage gossip, DecodeGossip(message));
  const MessageTag tag = static_cast<MessageTag>(message[0]);
  const PeerName neighbour = connection.stream().remote().name;
  if (gossip.channel == kTopologyChannel) {
    if (tag != MessageTag::kGossipUnicast) return HandleTopology(now, connection, gossip.payload, out);
    if (gossip.destination == config_.name) return absl::InvalidArgumentError("topology gossip to one peer");
  }
  if (tag == MessageTag::kGossipUnicast && gossip.destination != config_.name) {
    RelayUnicast(connection, gossip.destination, message);
    return absl::OkStatus();
  }
  Gossiper* gossiper = FindChannel(gossip.channel);
  if (gossiper == nullptr) {
    Ignore(connection, "one channel too many");
    return absl::OkStatus();
  }
  if (tag == MessageTag::kGossipUnicast) return gossiper->OnUnicast(now, gossip.source, gossip.payload);
  if (tag == MessageTag::kGossipBroadcast) {
    ASSIGN_OR_RETURN(const std::unique_ptr<GossipData> onwards,
                     gossiper->OnBroadcast(now, gossip.source, gossip.payload));
    if (onwards != nullptr) SendToBroadcastRoute(gossip.channel, gossip.source, *onwards);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<GossipData> news, gossiper->OnGossip(now, neighbour, gossip.payload));
  if (news != nullptr) SendToNeighbours(gossip.channel, neighbour, *news);
  return absl::OkStatus();
}

absl::Status MeshRouter::HandleTopology(Now now, Connection& connection, ByteView payload, MeshOutput& out) {
  ASSIGN_OR_RETURN(const TopologyChange change, topology_.Apply(payload));
  Apply(now, change, out);
  ScheduleGarbageCollection(now);
  if (change.improved.empty()) return absl::OkStatus();
  relays_[connection.stream().remote().name].insert(change.improved.begin(), change.improved.end());
  // An improvement that moves no route is passed on all the same.
  if (!routes_at_.has_value()) routes_at_ = now.monotonic;
  return absl::OkStatus();
}

void MeshRouter::RelayUnicast(const Connection& connection, PeerName destination, ByteView message) {
  const std::optional<PeerName> via = routes_.NextHop(Links::kAll, destination);
  const auto neighbour = via.has_value() ? neighbours_.find(*via) : neighbours_.end();
  // Back to where it came from: the two of us see different networks just now, and it would go round.
  const bool circle = neighbour != neighbours_.end() && neighbour->second == &connection;
  if (neighbour == neighbours_.end() || circle) {
    ++stats_.dropped_unicasts;
    logger_.Debug("message to one peer dropped",
                  {{"destination", destination.ToString()}, {"reason", circle ? "it came from there" : "no route"}});
    return;
  }
  if (!neighbour->second->queue().Push(Bytes(message.begin(), message.end())).ok()) {
    ++stats_.dropped_unicasts;
    return;
  }
  owing_.insert(neighbour->second->id());
}

Gossiper* MeshRouter::FindChannel(absl::string_view name) {
  if (const auto known = channels_.find(name); known != channels_.end())
    return known->second.gossiper != nullptr ? known->second.gossiper : known->second.surrogate.get();
  const auto is_surrogate = [](const auto& channel) { return channel.second.surrogate != nullptr; };
  if (name.size() > kMaxChannelNameSize ||
      std::count_if(channels_.begin(), channels_.end(), is_surrogate) >= static_cast<std::ptrdiff_t>(kMaxSurrogates))
    return nullptr;
  logger_.Info("passing on a channel that has no consumer here", {{"channel", name}});
  Channel channel;
  channel.surrogate = std::make_unique<SurrogateGossiper>();
  return channels_.emplace(std::string(name), std::move(channel)).first->second.surrogate.get();
}

// ---- the consumers of channels ----

absl::Status MeshRouter::Unicast(Now now, absl::string_view channel, PeerName destination, ByteView payload,
                                 MeshOutput& out) {
  if (routes_at_.has_value()) UpdateRoutes(now);
  const std::optional<PeerName> via = routes_.NextHop(Links::kAll, destination);
  const auto neighbour = via.has_value() ? neighbours_.find(*via) : neighbours_.end();
  if (neighbour == neighbours_.end())
    return absl::NotFoundError(absl::StrCat("no way to peer ", destination.ToString()));
  GossipMessage message;
  message.channel = channel;
  message.source = config_.name;
  message.destination = destination;
  message.payload = payload;
  RETURN_IF_ERROR(neighbour->second->queue().Push(EncodeGossip(MessageTag::kGossipUnicast, message)));
  owing_.insert(neighbour->second->id());
  Finish(now, out);
  return absl::OkStatus();
}

void MeshRouter::Broadcast(Now now, absl::string_view channel, const GossipData& data, MeshOutput& out) {
  if (routes_at_.has_value()) UpdateRoutes(now);
  SendToBroadcastRoute(channel, config_.name, data);
  Finish(now, out);
}

void MeshRouter::Gossip(Now now, absl::string_view channel, const GossipData& data, MeshOutput& out) {
  if (routes_at_.has_value()) UpdateRoutes(now);
  SendToNeighbours(channel, config_.name, data);
  Finish(now, out);
}

// ---- how gossip goes on ----

void MeshRouter::SendToNeighbours(absl::string_view channel, PeerName except, const GossipData& data) {
  for (const PeerName peer : routes_.RandomNeighbours(except, random_)) {
    const auto neighbour = neighbours_.find(peer);
    if (neighbour == neighbours_.end()) continue;
    neighbour->second->queue().Gossip(channel, data.Clone());
    owing_.insert(neighbour->second->id());
  }
}

void MeshRouter::SendToBroadcastRoute(absl::string_view channel, PeerName source, const GossipData& data) {
  for (const PeerName peer : routes_.Broadcast(Links::kAll, source)) {
    const auto neighbour = neighbours_.find(peer);
    if (neighbour == neighbours_.end()) continue;
    neighbour->second->queue().Broadcast(channel, source, data.Clone());
    owing_.insert(neighbour->second->id());
  }
}

void MeshRouter::RelayTopology() {
  for (auto& [sender, names] : relays_)
    SendToNeighbours(kTopologyChannel, sender, TopologyGossip(topology_, std::move(names)));
  relays_.clear();
}

void MeshRouter::SendEverything(Now now, Connection& connection) {
  connection.queue().Gossip(kTopologyChannel, std::make_unique<TopologyGossip>(topology_));
  for (const auto& [name, channel] : channels_) {
    if (channel.gossiper == nullptr) continue;
    if (std::unique_ptr<GossipData> state = channel.gossiper->FullState(now); state != nullptr)
      connection.queue().Gossip(name, std::move(state));
  }
  owing_.insert(connection.id());
}

void MeshRouter::SendPeriodicGossip(Now now) {
  if (routes_at_.has_value()) UpdateRoutes(now);
  SendToNeighbours(kTopologyChannel, config_.name, TopologyGossip(topology_));
  for (const auto& [name, channel] : channels_) {
    if (channel.gossiper == nullptr) continue;
    if (const std::unique_ptr<GossipData> state = channel.gossiper->FullState(now); state != nullptr)
      SendToNeighbours(name, config_.name, *state);
  }
}

}  // namespace weave
