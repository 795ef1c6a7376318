// MeshRouter: what status pages, metrics and checkers see.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "mesh/mesh_router.h"

namespace weave {

std::optional<ConnectionId> MeshRouter::ConnectionTo(PeerName peer) const {
  const auto neighbour = neighbours_.find(peer);
  if (neighbour == neighbours_.end()) return std::nullopt;
  return neighbour->second->id();
}

MeshStatus MeshRouter::Status(Now now) const {
  MeshStatus status;
  status.min_protocol_version = config_.versions.min;
  status.max_protocol_version = config_.versions.max;
  status.has_password = config_.password.has_value();
  status.peer_discovery = config_.discovery;
  status.name = config_.name;
  status.nickname = config_.nickname;
  status.port = config_.port;
  status.trusted_subnets = config_.trusted_subnets;
  status.targets = DirectPeers();
  for (const RouteTable::UnicastRoute& route : routes().UnicastRoutes(Links::kEstablished))
    status.unicast_routes.push_back({route.destination, route.via});
  FillPeers(status);
  FillConnections(now, status);
  status.termination_count = stats_.terminations;
  status.overlays = absl::StrSplit(overlay_.Names(), ' ', absl::SkipEmpty());
  return status;
}

void MeshRouter::FillPeers(MeshStatus& status) const {
  for (const PeerSummary* peer : topology_.Peers()) {
    status.broadcast_routes.push_back({peer->name, routes().Broadcast(Links::kEstablished, peer->name)});
    MeshStatus::Peer entry;
    entry.name = peer->name;
    entry.nickname = peer->nickname;
    entry.uid = peer->uid;
    entry.short_id = peer->short_id;
    entry.version = peer->version;
    for (const ConnectionSummary& connection : peer->connections) {
      const PeerSummary* other = topology_.Find(connection.peer);
      entry.connections.push_back({connection.peer, other == nullptr ? std::string() : other->nickname,
                                   connection.remote_address, connection.outbound, connection.established});
    }
    const bool ourselves = peer->name == config_.name;
    status.peers.insert(ourselves ? status.peers.begin() : status.peers.end(), std::move(entry));
  }
}

void MeshRouter::FillConnections(Now now, MeshStatus& status) const {
  for (const auto& [name, connection] : neighbours_) {
    MeshStatus::Connection entry;
    entry.address = connection->remote().ToString();
    entry.outbound = connection->dialled();
    entry.state =
        connection->established() ? MeshStatus::ConnectionState::kEstablished : MeshStatus::ConnectionState::kPending;
    entry.remote = name;
    entry.remote_nickname = connection->stream().remote().nickname;
    entry.encrypted = config_.password.has_value() && !connection->trusted();
    entry.overlay = overlay_.Status(connection->id());
    status.connections.push_back(std::move(entry));
  }
  for (const ConnectionMaker::TargetStatus& target : maker_.Targets(now)) {
    MeshStatus::Connection entry;
    entry.address = target.address.ToString();
    entry.state = target.state;
    entry.error = target.last_error;
    entry.retry_at = target.retry;
    status.connections.push_back(std::move(entry));
  }
}

absl::Status MeshRouter::CheckInvariants() const {
  const auto broken = [](absl::string_view what, ConnectionId id) {
    return absl::InternalError(absl::StrCat("mesh: ", what, " (connection ", id, ")"));
  };
  if (absl::Status status = topology_.CheckInvariants(); !status.ok()) return status;
  std::size_t added = 0;
  for (const auto& [id, live] : connections_) {
    if (live.connection->id() != id) return broken("a connection under another id", id);
    if (!deadlines_.contains({live.deadline, id})) return broken("no deadline", id);
    if (!live.connection->added()) continue;
    ++added;
    const PeerName remote = live.connection->stream().remote().name;
    const auto neighbour = neighbours_.find(remote);
    if (neighbour == neighbours_.end() || neighbour->second != live.connection.get())
      return broken("added but no neighbour", id);
    if (!topology_.Knows(remote)) return broken("neighbour is not a known peer", id);
  }
  if (added != neighbours_.size()) return absl::InternalError("mesh: a neighbour without a connection");
  if (deadlines_.size() != connections_.size()) return absl::InternalError("mesh: a deadline without a connection");
  if (config_.connection_limit != 0 && neighbours_.size() > config_.connection_limit)
    return absl::InternalError("mesh: more connections than the limit");
  return absl::OkStatus();
}

}  // namespace weave
