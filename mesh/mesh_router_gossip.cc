// MeshRouter: what arrives over connections, and how gossip goes on (spec/mesh.md sections 4, 6 and 8).
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "mesh/mesh_router.h"
#include "mesh/topology_gossip.h"
#include "wire/messages.h"

namespace weave {
namespace {

constexpr absl::string_view kTopologyChannel = "topology";
constexpr absl::string_view kInventoryChannel = "topology inventory";
constexpr absl::string_view kComparisonSuffix = " comparison";  // behind the name of the channel whose state it is

// Peers in a network in which news travel before records.
constexpr std::size_t kAnnounceFrom = 50;

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
  if (gossip.channel == kInventoryChannel && tag == MessageTag::kGossip && connection.has_inventory())
    return HandleInventory(connection, gossip.payload);
  if (absl::string_view compared = gossip.channel;
      tag == MessageTag::kGossip && absl::ConsumeSuffix(&compared, kComparisonSuffix)) {
    if (ComparingGossiper* gossiper = FindComparing(connection, compared))
      return HandleComparison(now, connection, compared, *gossiper, gossip.payload);
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
  if (connection.queue().Release(gossip.channel)) owing_.insert(connection.id());
  return absl::OkStatus();
}

absl::Status MeshRouter::HandleTopology(Now now, Connection& connection, ByteView payload, MeshOutput& out) {
  ASSIGN_OR_RETURN(const TopologyChange change, topology_.Apply(payload, connection.stream().remote().name));
  Apply(now, change, out);
  ScheduleGarbageCollection(now);
  if (change.improved.empty()) return absl::OkStatus();
  relays_[connection.stream().remote().name].Merge(change.improved_set);
  ScheduleRelay(now);
  return absl::OkStatus();
}

// docs/mesh.md, "Comparing instead of telling".
absl::Status MeshRouter::HandleInventory(Connection& connection, ByteView payload) {
  using Kind = TopologyInventory::Kind;
  ASSIGN_OR_RETURN(const TopologyInventory inventory, DecodeInventory(payload));
  const PeerName neighbour = connection.stream().remote().name;
  if (inventory.kind == Kind::kDigest) {
    if (inventory.digest != topology_.digest()) Offer(connection);
    return absl::OkStatus();
  }
  if (inventory.kind == Kind::kNews) {
    const std::vector<PeerName> missing = topology_.Missing(neighbour, inventory.offered);
    if (!missing.empty()) TellInventory(connection, InventoryGossip::Want(topology_, missing));
    return absl::OkStatus();
  }
  const bool answered = connection.offered();
  connection.SetOffered(false);
  if (inventory.kind == Kind::kWant) {
    TellTopology(connection, topology_.Want(neighbour, inventory.wanted));
    return absl::OkStatus();
  }
  Topology::Comparison comparison = topology_.CompareWith(neighbour, inventory.offered);
  TellTopology(connection, std::move(comparison.ours));
  // Whoever has our offer knows without being asked.
  if (!answered) TellInventory(connection, InventoryGossip::Want(topology_, comparison.theirs));
  return absl::OkStatus();
}

// Null: one of both ends does not compare that channel.
ComparingGossiper* MeshRouter::FindComparing(const Connection& connection, absl::string_view name) const {
  const auto channel = channels_.find(name);
  return channel != channels_.end() && connection.Compares(name) ? channel->second.comparing : nullptr;
}

absl::Status MeshRouter::HandleComparison(Now now, Connection& connection, absl::string_view name,
                                          ComparingGossiper& gossiper, ByteView payload) {
  const PeerName neighbour = connection.stream().remote().name;
  ASSIGN_OR_RETURN(ComparingGossiper::Answer answer, gossiper.OnComparison(now, neighbour, payload));
  if (answer.comparison != nullptr)
    connection.queue().Gossip(absl::StrCat(name, kComparisonSuffix), std::move(answer.comparison));
  if (answer.state != nullptr) connection.queue().Gossip(name, std::move(answer.state));
  owing_.insert(connection.id());
  return absl::OkStatus();
}

void MeshRouter::RelayUnicast(const Connection& connection, PeerName destination, ByteView message) {
  const std::optional<PeerName> via = routes().NextHop(Links::kAll, destination);
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
  const std::optional<PeerName> via = routes().NextHop(Links::kAll, destination);
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
  for (Connection* neighbour : GossipTargets(except)) {
    neighbour->queue().Gossip(channel, data.Clone());
    owing_.insert(neighbour->id());
  }
}

void MeshRouter::SendToBroadcastRoute(absl::string_view channel, PeerName source, const GossipData& data) {
  for (const PeerName peer : routes().Broadcast(Links::kAll, source)) {
    const auto neighbour = neighbours_.find(peer);
    if (neighbour == neighbours_.end()) continue;
    neighbour->second->queue().Broadcast(channel, source, data.Clone());
    owing_.insert(neighbour->second->id());
  }
}

// Of everyone, or of `peers`.
void MeshRouter::TellTopology(Connection& connection, std::optional<PeerSet> peers) {
  const PeerName neighbour = connection.stream().remote().name;
  connection.queue().Gossip(
      kTopologyChannel, peers.has_value() ? std::make_unique<TopologyGossip>(topology_, neighbour, *std::move(peers))
                                          : std::make_unique<TopologyGossip>(topology_, neighbour));
  owing_.insert(connection.id());
}

void MeshRouter::TellInventory(Connection& connection, InventoryGossip gossip) {
  connection.queue().Gossip(kInventoryChannel, std::make_unique<InventoryGossip>(std::move(gossip)));
  owing_.insert(connection.id());
}

void MeshRouter::Offer(Connection& connection) {
  connection.SetOffered(true);
  TellInventory(connection, InventoryGossip::Offer(topology_));
}

// Where as many neighbours are to be told as there are, the routes need not be looked at.
std::vector<Connection*> MeshRouter::GossipTargets(PeerName except) {
  std::vector<Connection*> targets;
  const auto add = [&](PeerName peer) {
    if (const auto neighbour = neighbours_.find(peer); neighbour != neighbours_.end())
      targets.push_back(neighbour->second);
  };
  const std::vector<ConnectionSummary>& connections = topology_.Find(config_.name)->connections;
  if (connections.size() > RouteTable::GossipFanOut(topology_.peer_count())) {
    for (const PeerName peer : routes().RandomNeighbours(except, random_)) add(peer);
    return targets;
  }
  targets.reserve(connections.size());
  for (const ConnectionSummary& connection : connections)
    if (connection.peer != except) add(connection.peer);
  return targets;
}

void MeshRouter::RelayTopology(Now now) {
  relay_at_.reset();
  relayed_at_ = now.monotonic;
  if (routes_at_.has_value()) UpdateRoutes(now);
  // In a large network most neighbours hear the same from others: a record is many times as large as the news of it.
  const bool announce = topology_.peer_count() > kAnnounceFrom;
  for (const auto& [sender, peers] : relays_) {
    for (Connection* neighbour : GossipTargets(sender)) {
      if (announce && neighbour->has_inventory())
        TellInventory(*neighbour, InventoryGossip::News(topology_, neighbour->stream().remote().name, peers));
      else
        TellTopology(*neighbour, peers);
    }
  }
  relays_.clear();
}

void MeshRouter::SendEverything(Now now, Connection& connection) {
  if (connection.has_inventory())
    Offer(connection);
  else
    TellTopology(connection, std::nullopt);
  for (const auto& [name, channel] : channels_) {
    if (channel.gossiper == nullptr) continue;
    if (channel.gossiper->ListensFirst() && !connection.has_inventory()) connection.ListenOn(name, now);
    TellState(now, name, *channel.gossiper, {&connection});
    ComparingGossiper* comparing = FindComparing(connection, name);
    if (comparing == nullptr) continue;
    if (std::unique_ptr<GossipData> greeting = comparing->Greeting(now, connection.stream().remote().name))
      connection.queue().Gossip(name, std::move(greeting));
  }
}

// All of it, or the beginning of a comparison.
void MeshRouter::TellState(Now now, absl::string_view name, Gossiper& gossiper,
                           const std::vector<Connection*>& neighbours) {
  std::unique_ptr<GossipData> state;  // the same for all, made if somebody needs it
  for (Connection* neighbour : neighbours) {
    if (ComparingGossiper* comparing = FindComparing(*neighbour, name)) {
      neighbour->queue().Gossip(absl::StrCat(name, kComparisonSuffix),
                                comparing->Digest(now, neighbour->stream().remote().name));
    } else {
      if (state == nullptr) state = gossiper.FullState(now);
      if (state == nullptr) continue;
      neighbour->queue().Gossip(name, state->Clone());
    }
    owing_.insert(neighbour->id());
  }
}

void MeshRouter::SendPeriodicGossip(Now now) {
  if (routes_at_.has_value()) UpdateRoutes(now);
  for (Connection* neighbour : GossipTargets(config_.name)) {
    if (neighbour->has_inventory())
      TellInventory(*neighbour, InventoryGossip::Digest(topology_));
    else
      TellTopology(*neighbour, std::nullopt);
  }
  for (const auto& [name, channel] : channels_) {
    if (channel.gossiper != nullptr) TellState(now, name, *channel.gossiper, GossipTargets(config_.name));
  }
}

}  // namespace weave
