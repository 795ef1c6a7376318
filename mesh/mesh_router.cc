#include "mesh/mesh_router.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "wire/messages.h"

namespace weave {
namespace {

// spec/mesh.md sections 6.4, 6.5, 7.2.
const Duration kOwnUpdateDelay = absl::Seconds(1);
const Duration kGarbageDelay = absl::Seconds(1);
const Duration kRoutePause = absl::Milliseconds(100);

// News of a record go over every link, so all links together carry the square of the network's size when everybody has
// news at once, as after a cold start. A large network gathers longer what comes soon after something else: fewer
// messages, fewer versions of a record. What comes alone travels as fast as ever.
constexpr std::size_t kLargeNetwork = 100;
const Duration kRelayPause = absl::Milliseconds(100);
const Duration kMaxRelayPause = absl::Milliseconds(300);
const Duration kOwnUpdatePause = absl::Seconds(1);
const Duration kMaxOwnUpdatePause = absl::Seconds(5);

Duration PauseIn(std::size_t peer_count, Duration pause, Duration max) {
  const auto times = static_cast<std::int64_t>(std::max<std::size_t>(peer_count / kLargeNetwork, 1));
  return std::min(pause * times, max);
}

// Accepted connections that have not introduced themselves: whoever opens more has to wait for the others' time-outs.
constexpr std::size_t kMaxStrangers = 512;

PeerUid DrawUid(EntropySource& entropy) {
  PeerUid uid = 0;
  while (uid == 0) uid = entropy.Next();
  return uid;
}

std::string Describe(PeerName name, absl::string_view nickname) {
  return absl::StrCat(name.ToString(), "(", nickname, ")");
}

}  // namespace

MeshRouter::MeshRouter(MeshConfig config, Overlay& overlay, EntropySource& entropy, Random random, Logger& logger)
    : config_(std::move(config)),
      overlay_(overlay),
      entropy_(entropy),
      random_(random.Split("gossip")),
      logger_(logger),
      uid_(DrawUid(entropy)),
      topology_(config_.name, config_.nickname, uid_, random.Split("short ids"), config_.pool),
      routes_(topology_.self(), topology_.View()),
      maker_({config_.name, config_.port, config_.discovery}, topology_, random.Split("targets")) {}

void MeshRouter::Start(Now now, std::optional<ShortId> short_id) {
  if (short_id.has_value()) topology_.TakeShortId(*short_id);
  gossip_at_ = now.monotonic + kGossipInterval;
}

void MeshRouter::Stop(Now now, absl::string_view reason, MeshOutput& out) {
  stopped_ = true;
  gossip_at_.reset();
  while (!connections_.empty())
    End(now, connections_.begin()->first, {absl::CancelledError(reason)}, /*tell_transport=*/true, out);
  for (const auto& [id, dialling] : dialling_) out.closes.push_back(id);
  dialling_.clear();
}

void MeshRouter::AddChannel(absl::string_view name, Gossiper& gossiper) {
  const bool added = channels_.try_emplace(std::string(name), Channel{&gossiper, nullptr, nullptr}).second;
  CHECK(added) << name;
}

void MeshRouter::AddComparingChannel(absl::string_view name, ComparingGossiper& gossiper) {
  CHECK(name.find(' ') == absl::string_view::npos) << name;
  AddChannel(name, gossiper);
  channels_.find(name)->second.comparing = &gossiper;
  absl::StrAppend(&compared_channels_, compared_channels_.empty() ? "" : " ", name);
}

// ---- the transport ----

void MeshRouter::OnConnected(Now now, ConnectionId id, const SocketAddress& local, MeshOutput& out) {
  const auto dialling = dialling_.find(id);
  if (dialling == dialling_.end()) return;
  Open(now, id, local, dialling->second.address, dialling->second.direct, out);
  dialling_.erase(dialling);
  Finish(now, out);
}

void MeshRouter::OnAccepted(Now now, ConnectionId id, const SocketAddress& local, const SocketAddress& remote,
                            MeshOutput& out) {
  CHECK((id & kDialledBit) == 0) << id;
  if (stopped_) {
    out.closes.push_back(id);
    return;
  }
  if (connections_.size() - neighbours_.size() >= kMaxStrangers) {
    logger_.Warning("connection refused: too many have not introduced themselves", {{"address", remote.ToString()}});
    out.closes.push_back(id);
    return;
  }
  Open(now, id, local, remote, /*accept_new_peer=*/true, out);
  Finish(now, out);
}

void MeshRouter::Open(Now now, ConnectionId id, const SocketAddress& local, const SocketAddress& remote,
                      bool accept_new_peer, MeshOutput& out) {
  Connection::Config config;
  config.id = id;
  config.local = local;
  config.remote = remote;
  config.accept_new_peer = accept_new_peer;
  config.self = config_.name;
  ProtocolStream::Options& protocol = config.protocol;
  protocol.versions = config_.versions;
  protocol.password = config_.password;
  protocol.dialled = (id & kDialledBit) != 0;
  if (config_.password.has_value()) entropy_.Fill(absl::MakeSpan(protocol.private_key));
  protocol.features.name = config_.name;
  protocol.features.nickname = config_.nickname;
  protocol.features.uid = uid_;
  protocol.features.connection_id = entropy_.Next();
  protocol.features.short_id = topology_.self_short_id();
  protocol.features.trusted = std::any_of(config_.trusted_subnets.begin(), config_.trusted_subnets.end(),
                                          [&](const Cidr& subnet) { return subnet.Contains(remote.ip); });
  protocol.features.overlays = overlay_.Names();
  protocol.features.inventory = config_.inventory;
  if (config_.inventory) protocol.features.compared_channels = compared_channels_;

  Live& live = connections_[id];
  CHECK(live.connection == nullptr) << id;
  live.connection = std::make_unique<Connection>(std::move(config), now);
  Connection& connection = *live.connection;
  live.deadline = connection.NextDeadline();
  deadlines_.insert({live.deadline, id});
  SendAtOnce(connection, connection.stream().Begin(), out);
}

void MeshRouter::OnReceived(Now now, ConnectionId id, ByteView bytes, MeshOutput& out) {
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  stats_.bytes_received += bytes.size();
  connection->stream().Append(bytes);
  const Refusal refusal = TakeEvents(now, *connection, out);
  if (!refusal.status.ok()) {
    // What we have said, or were about to say, may tell the other end why.
    if (const absl::StatusOr<Bytes> last = connection->TakeLastChunk(stats_.messages_sent); last.ok() && !last->empty())
      SendAtOnce(*connection, *last, out);
    const bool tells_why = connection->added();
    End(now, id, refusal, /*tell_transport=*/!tells_why, out);
    if (tells_why) out.leaves.push_back(id);
  }
  Finish(now, out);
}

void MeshRouter::OnWritable(Now now, ConnectionId id, MeshOutput& out) {
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  connection->OnWritable();
  owing_.insert(id);
  Finish(now, out);
}

void MeshRouter::OnClosed(Now now, ConnectionId id, const absl::Status& reason, MeshOutput& out) {
  if (const auto dialling = dialling_.find(id); dialling != dialling_.end()) {
    logger_.Info("connection attempt failed",
                 {{"address", dialling->second.address.ToString()}, {"reason", reason.message()}});
    maker_.OnAttemptFailed(now, dialling->second.address, reason, Ending::kFailed);
    dialling_.erase(dialling);
  } else if (Find(id) != nullptr) {
    End(now, id, {reason}, /*tell_transport=*/false, out);
  }
  Finish(now, out);
}

// ---- one connection ----

Connection* MeshRouter::Find(ConnectionId id) {
  const auto live = connections_.find(id);
  return live == connections_.end() ? nullptr : live->second.connection.get();
}

void MeshRouter::SendAtOnce(Connection& connection, Bytes bytes, MeshOutput& out) {
  stats_.bytes_sent += bytes.size();
  connection.OnHandedOver();
  out.sends.push_back({connection.id(), std::move(bytes)});
}

MeshRouter::Refusal MeshRouter::TakeEvents(Now now, Connection& connection, MeshOutput& out) {
  while (true) {
    Bytes answer;
    const absl::StatusOr<ProtocolStream::Event> event = connection.stream().Next(answer);
    if (!answer.empty()) SendAtOnce(connection, std::move(answer), out);
    if (!event.ok()) return {event.status()};
    switch (*event) {
      case ProtocolStream::Event::kNeedBytes:
        return {};
      case ProtocolStream::Event::kIntroduced:
        connection.OnProgress(now);
        if (Refusal refusal = Introduce(now, connection, out); !refusal.status.ok()) return refusal;
        break;
      case ProtocolStream::Event::kMessage:
        connection.OnProgress(now);
        ++stats_.messages_received;
        if (absl::Status status = HandleMessage(now, connection, connection.stream().message(), out); !status.ok())
          return {std::move(status)};
        break;
    }
  }
}

// spec/mesh.md section 2.5.
MeshRouter::Refusal MeshRouter::Introduce(Now now, Connection& connection, MeshOutput& out) {
  if (Refusal refusal = CheckName(connection); !refusal.status.ok()) return refusal;
  const Features& remote = connection.stream().remote();
  PeerSummary introduced;
  introduced.name = remote.name;
  introduced.nickname = remote.nickname;
  introduced.uid = remote.uid;
  introduced.short_id = remote.short_id;
  TopologyChange change;
  const bool restarted = topology_.Reference(introduced, change);
  Apply(now, change, out);
  Refusal refusal = PrepareOverlay(now, connection);
  if (refusal.status.ok()) refusal = Add(now, connection, restarted, out);
  if (!refusal.status.ok()) {
    overlay_.Stop(now, connection.id());
    topology_.Unreference(remote.name);
    ScheduleGarbageCollection(now);  // it may have been all that kept the record
    return refusal;
  }
  overlay_.Confirm(now, connection.id());
  out.admitted.push_back(connection.id());
  maker_.OnConnected(connection.id(), remote.name, connection.remote(), connection.dialled());
  return {};
}

MeshRouter::Refusal MeshRouter::CheckName(const Connection& connection) const {
  const Features& remote = connection.stream().remote();
  if (remote.name == config_.name) {
    if (remote.uid == uid_) return {absl::FailedPreconditionError("cannot connect to ourself"), Ending::kNever};
    return {
        absl::AlreadyExistsError(absl::StrCat("local \"", Describe(config_.name, config_.nickname), "\" and remote \"",
                                              Describe(remote.name, remote.nickname), "\" peer names collision")),
        Ending::kNever};
  }
  if (!connection.accept_new_peer() && !topology_.Knows(remote.name))
    return {absl::NotFoundError(
        absl::StrCat("Found unknown remote name: ", remote.name.ToString(), " at ", connection.remote().ToString()))};
  return {};
}

MeshRouter::Refusal MeshRouter::PrepareOverlay(Now now, const Connection& connection) {
  const Features& remote = connection.stream().remote();
  OverlayConnection overlay;
  overlay.connection = connection.id();
  overlay.uid = connection.uid();
  overlay.remote = remote.name;
  overlay.remote_short_id = remote.short_id;
  overlay.outbound = connection.dialled();
  overlay.local_tcp = connection.local();
  overlay.remote_tcp = connection.remote();
  overlay.remote_overlays = remote.overlays;
  if (!connection.trusted()) overlay.key = connection.stream().session_key();
  return {overlay_.Prepare(now, overlay)};
}

// spec/mesh.md sections 5.2, 5.3.
MeshRouter::Refusal MeshRouter::Add(Now now, Connection& connection, bool restarted, MeshOutput& out) {
  const Features& remote = connection.stream().remote();
  if (const auto other = neighbours_.find(remote.name); other != neighbours_.end()) {
    const absl::Status duplicate =
        absl::AlreadyExistsError(absl::StrCat("Multiple connections to ", Describe(remote.name, remote.nickname),
                                              " added to ", Describe(config_.name, config_.nickname)));
    const std::uint64_t other_uid = other->second->uid();
    if (other_uid < connection.uid()) return {duplicate};
    End(now, other->second->id(), {duplicate}, /*tell_transport=*/true, out);
    if (other_uid == connection.uid()) return {duplicate};
  }
  if (config_.connection_limit != 0 && neighbours_.size() >= config_.connection_limit)
    return {absl::ResourceExhaustedError(absl::StrCat("Connection limit reached (", config_.connection_limit, ")"))};

  if (routes_at_.has_value()) UpdateRoutes(now);  // another connection to this peer may have ended a moment ago
  const bool reachable = routes().NextHop(Links::kEstablished, remote.name).has_value();
  connection.SetAdded(now);
  neighbours_[remote.name] = &connection;
  TopologyChange change;
  topology_.AddConnection(remote.name, connection.remote().ToString(), connection.dialled(), change);
  if (restarted || !reachable) SendEverything(now, connection);
  Schedule(connection.id(), connections_[connection.id()]);
  own_update_.insert(remote.name);
  ScheduleOwnUpdate(now);
  Apply(now, change, out);
  logger_.Info("connection added", {{"address", connection.remote().ToString()},
                                    {"peer", Describe(remote.name, remote.nickname)},
                                    {"protocol_version", connection.stream().version()},
                                    {"restarted_peer", restarted ? "yes" : "no"}});
  return {};
}

// spec/mesh.md section 5.5.
void MeshRouter::End(Now now, ConnectionId id, const Refusal& refusal, bool tell_transport, MeshOutput& out) {
  const auto live = connections_.find(id);
  if (live == connections_.end()) return;
  deadlines_.erase({live->second.deadline, id});
  owing_.erase(id);
  const std::unique_ptr<Connection> connection = std::move(live->second.connection);
  connections_.erase(live);
  if (tell_transport) out.closes.push_back(id);

  const PeerName remote = connection->stream().remote().name;
  logger_.Info("connection ended",
               {{"address", connection->remote().ToString()},
                {"peer", remote.known() ? Describe(remote, connection->stream().remote().nickname) : "not introduced"},
                {"reason", refusal.status.message()}});
  if (!(refusal.ending == Ending::kNever && remote == config_.name && connection->stream().remote().uid == uid_))
    ++stats_.terminations;
  if (connection->added()) {
    overlay_.Stop(now, id);
    neighbours_.erase(remote);
    topology_.Unreference(remote);
    TopologyChange change;
    topology_.RemoveConnection(remote, change);
    ScheduleOwnUpdate(now);
    Apply(now, change, out);
    maker_.OnDisconnected(now, id, refusal.status, refusal.ending);
  } else if (connection->dialled()) {
    maker_.OnAttemptFailed(now, connection->remote(), refusal.status, refusal.ending, remote);
  }
}

// ---- the overlay ----

void MeshRouter::OnOverlay(Now now, const OverlayEstablished& event, MeshOutput& out) {
  Connection* connection = Find(event.connection);
  if (connection == nullptr || !connection->added() || connection->established()) return;
  connection->SetEstablished();
  const Features& remote = connection->stream().remote();
  logger_.Info("connection established", {{"address", connection->remote().ToString()},
                                          {"peer", Describe(remote.name, remote.nickname)},
                                          {"overlay", overlay_.Status(event.connection).name}});
  TopologyChange change;
  topology_.SetEstablished(remote.name, change);
  ScheduleOwnUpdate(now);
  Apply(now, change, out);
  Finish(now, out);
}

void MeshRouter::OnOverlay(Now now, const OverlayFailed& event, MeshOutput& out) {
  End(now, event.connection, {event.status}, /*tell_transport=*/true, out);
  Finish(now, out);
}

void MeshRouter::OnOverlay(Now now, const OverlayControl& event, MeshOutput& out) {
  Connection* connection = Find(event.connection);
  if (connection == nullptr || !connection->added()) return;
  if (const absl::Status queued = connection->queue().Push(event.message); !queued.ok())
    End(now, event.connection, {queued}, /*tell_transport=*/true, out);
  else
    owing_.insert(event.connection);
  Finish(now, out);
}

// ---- the user ----

void MeshRouter::Connect(Now now, absl::Span<const DirectPeer> peers, bool replace, MeshOutput& out) {
  maker_.Connect(now, peers, replace);
  out.direct_peers_changed = true;
  Finish(now, out);
}

void MeshRouter::Forget(Now now, absl::Span<const std::string> texts, MeshOutput& out) {
  maker_.Forget(now, texts);
  out.direct_peers_changed = true;
  Finish(now, out);
}

// ---- time ----

void MeshRouter::OnTimer(Now now, MeshOutput& out) {
  CheckConnections(now, out);
  if (own_update_at_.has_value() && *own_update_at_ <= now.monotonic) {
    own_update_at_.reset();
    own_updated_at_ = now.monotonic;
    own_update_.insert(config_.name);
    const std::vector<PeerName> names(own_update_.begin(), own_update_.end());
    relays_[config_.name].Merge(topology_.SetOf(names));
    own_update_.clear();
    BringForward(relay_at_, now.monotonic);
  }
  if (garbage_at_.has_value() && *garbage_at_ <= now.monotonic) {
    garbage_at_.reset();
    TopologyChange change;
    topology_.CollectGarbage(change);
    Apply(now, change, out);
  }
  if (gossip_at_.has_value() && *gossip_at_ <= now.monotonic) {
    gossip_at_ = now.monotonic + kGossipInterval;
    SendPeriodicGossip(now);
  }
  Finish(now, out);
}

std::optional<MonotonicTime> MeshRouter::NextDeadline() const {
  if (stopped_) return std::nullopt;
  std::optional<MonotonicTime> connections;
  if (!deadlines_.empty()) connections = deadlines_.begin()->first;
  return Earliest({gossip_at_, routes_at_, relay_at_, own_update_at_, garbage_at_, maker_.NextDeadline(), connections});
}

void MeshRouter::CheckConnections(Now now, MeshOutput& out) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now.monotonic) {
    const ConnectionId id = deadlines_.begin()->second;
    Live& live = connections_[id];
    if (const absl::Status status = live.connection->OnTimer(now); !status.ok()) {
      End(now, id, {status}, /*tell_transport=*/true, out);
      continue;
    }
    owing_.insert(id);
    Schedule(id, live);
  }
}

void MeshRouter::Schedule(ConnectionId id, Live& live) {
  deadlines_.erase({live.deadline, id});
  live.deadline = live.connection->NextDeadline();
  deadlines_.insert({live.deadline, id});
}

// ---- the end of an event ----

void MeshRouter::Apply(Now now, const TopologyChange& change, MeshOutput& out) {
  for (const PeerName peer : change.removed) logger_.Info("peer is gone", {{"peer", peer.ToString()}});
  out.removed_peers.insert(out.removed_peers.end(), change.removed.begin(), change.removed.end());
  out.short_ids_changed |= change.short_ids_changed;
  if (change.self_changed) ScheduleOwnUpdate(now);
  if (!change.topology_changed) return;
  out.routes_changed = true;
  BringForward(routes_at_,
               routes_done_at_.has_value() ? std::max(now.monotonic, *routes_done_at_ + kRoutePause) : now.monotonic);
  maker_.OnTopologyChange(now);
}

void MeshRouter::ScheduleGarbageCollection(Now now) { BringForward(garbage_at_, now.monotonic + kGarbageDelay); }

void MeshRouter::ScheduleOwnUpdate(Now now) {
  MonotonicTime at = now.monotonic + kOwnUpdateDelay;
  if (own_updated_at_.has_value())
    at = std::max(at, *own_updated_at_ + PauseIn(topology_.peer_count(), kOwnUpdatePause, kMaxOwnUpdatePause));
  BringForward(own_update_at_, at);
}

void MeshRouter::ScheduleRelay(Now now) {
  MonotonicTime at = now.monotonic;
  if (relayed_at_.has_value())
    at = std::max(at, *relayed_at_ + PauseIn(topology_.peer_count(), kRelayPause, kMaxRelayPause));
  BringForward(relay_at_, at);
}

void MeshRouter::Finish(Now now, MeshOutput& out) {
  if (stopped_) return;
  if (routes_at_.has_value() && *routes_at_ <= now.monotonic) UpdateRoutes(now);
  if (relay_at_.has_value() && *relay_at_ <= now.monotonic) RelayTopology(now);
  DialTargets(now, out);
  Pump(now, out);
}

void MeshRouter::UpdateRoutes(Now now) {
  routes_at_.reset();
  routes_done_at_ = now.monotonic;
  ++route_generation_;
  routes_are_stale_ = true;
}

const RouteTable& MeshRouter::routes() const {
  if (std::exchange(routes_are_stale_, false)) routes_.Update(topology_.View());
  return routes_;
}

void MeshRouter::DialTargets(Now now, MeshOutput& out) {
  std::vector<ConnectionMaker::Attempt> attempts;
  maker_.Run(now, attempts);
  for (const ConnectionMaker::Attempt& attempt : attempts) {
    if (config_.connection_limit != 0 && neighbours_.size() >= config_.connection_limit) {
      maker_.OnAttemptFailed(
          now, attempt.address,
          absl::ResourceExhaustedError(absl::StrCat("Connection limit reached (", config_.connection_limit, ")")),
          Ending::kFailed);
      continue;
    }
    const ConnectionId id = ++last_dial_;
    dialling_[id] = {attempt.address, attempt.direct};
    out.dials.push_back({id, attempt.address});
  }
}

void MeshRouter::Pump(Now now, MeshOutput& out) {
  absl::btree_set<ConnectionId> owing;
  owing.swap(owing_);
  for (const ConnectionId id : owing) {
    Connection* connection = Find(id);
    if (connection == nullptr) continue;
    absl::StatusOr<Bytes> chunk = connection->TakeChunk(stats_.messages_sent);
    if (!chunk.ok())
      End(now, id, {chunk.status()}, /*tell_transport=*/true, out);
    else if (!chunk->empty())
      SendAtOnce(*connection, *std::move(chunk), out);
  }
}

}  // namespace weave
