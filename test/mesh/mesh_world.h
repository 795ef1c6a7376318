// Routers on a simulated network, with an overlay that is established as soon as both ends have said so.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/random.h"
#include "mesh/mesh_router.h"
#include "sim/event_queue.h"
#include "sim/mesh_transport.h"
#include "sim/trace.h"
#include "sim/transport.h"
#include "test/support/catch.h"
#include "wire/messages.h"

namespace weave::test {

inline MeshConfig NoDiscovery() {
  MeshConfig config;
  config.discovery = false;
  return config;
}

class SeededEntropy final : public EntropySource {
 public:
  explicit SeededEntropy(std::uint64_t seed) : random_(seed) {}
  void Fill(absl::Span<std::uint8_t> bytes) override {
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_.Next());
  }

 private:
  Random random_;
};

// Says hello over the control channel; frames pass when the hello of the other end has come.
class HelloOverlay final : public Overlay {
 public:
  using Event = std::variant<OverlayEstablished, OverlayFailed, OverlayControl>;

  std::string Names() const override { return "hello"; }
  absl::Status Prepare(Now, const OverlayConnection& connection) override {
    if (connection.remote_overlays == "none") return absl::FailedPreconditionError("no overlay in common");
    connections[connection.connection] = connection;
    return absl::OkStatus();
  }
  void Confirm(Now, ConnectionId connection) override {
    if (!silent) events.push_back(OverlayControl{connection, {7, 0, 0}});
  }
  absl::Status OnControl(Now, ConnectionId connection, ByteView message) override {
    if (message.size() < 3) return absl::InvalidArgumentError("overlay control message is too short");
    events.push_back(OverlayEstablished{connection});
    return absl::OkStatus();
  }
  void Stop(Now, ConnectionId connection) override { connections.erase(connection); }
  OverlayStatus Status(ConnectionId) const override { return {"hello", {{"mtu", "1400"}}}; }

  bool silent = false;
  std::vector<Event> events;
  absl::btree_map<ConnectionId, OverlayConnection> connections;
};

// A counter per peer that merges by maximum: enough to see what gossip does.
class CounterGossiper final : public Gossiper {
 public:
  class Data final : public GossipData {
   public:
    explicit Data(std::uint8_t value) : value_(value) {}
    void Merge(const GossipData& other) override { value_ = std::max(value_, static_cast<const Data&>(other).value_); }
    std::vector<Bytes> Encode() const override { return {Bytes{value_}}; }
    std::unique_ptr<GossipData> Clone() const override { return std::make_unique<Data>(value_); }

   private:
    std::uint8_t value_;
  };

  absl::Status OnUnicast(Now, PeerName source, ByteView payload) override {
    unicasts.emplace_back(source, Bytes(payload.begin(), payload.end()));
    return payload == ByteView(Bytes{0xff}) ? absl::InvalidArgumentError("bad unicast") : absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now, PeerName source, ByteView payload) override {
    broadcasts.push_back(source);
    if (payload.size() != 1) return absl::InvalidArgumentError("bad broadcast");
    return std::make_unique<Data>(payload[0]);
  }
  absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now, PeerName, ByteView payload) override {
    if (payload.size() != 1) return absl::InvalidArgumentError("bad gossip");
    if (payload[0] <= value) return nullptr;
    value = payload[0];
    return std::make_unique<Data>(value);
  }
  std::unique_ptr<GossipData> FullState(Now) override { return value == 0 ? nullptr : std::make_unique<Data>(value); }
  bool ListensFirst() const override { return listens_first; }

  std::uint8_t value = 0;
  bool listens_first = false;
  std::vector<std::pair<PeerName, Bytes>> unicasts;
  std::vector<PeerName> broadcasts;
};

// Keeps what is logged, a line each.
class MemoryLogger final : public Logger {
 public:
  MemoryLogger() : Logger(LogLevel::kInfo) {}

  // How many lines contain `text`.
  std::size_t Count(absl::string_view text) const {
    return static_cast<std::size_t>(std::count_if(
        lines_.begin(), lines_.end(), [text](const std::string& line) { return absl::StrContains(line, text); }));
  }

 private:
  void Write(LogLevel, absl::string_view message, absl::Span<const LogField> fields) override {
    lines_.push_back(absl::StrCat(message, " ", FormatFields(fields)));
  }

  std::vector<std::string> lines_;
};

class MeshHost final : public sim::MeshTransportObserver {
 public:
  // Named by its id unless `config` has a name.
  MeshHost(sim::HostId id, MeshConfig config, std::uint64_t seed, sim::EventQueue& queue, sim::Transport& transport)
      : config_(std::move(config)),
        random_(Random(seed).Split(absl::StrCat("host", id))),
        queue_(queue),
        entropy_(seed * 1000 + id),
        transport_(id, queue, transport, *this) {
    if (!config_.name.known()) config_.name = NameOf(id);
    config_.nickname = absl::StrCat("host", id);
    Start();
  }

  // After a crash: the same peer in a new life.
  void Start() {
    armed_.reset();
    counter = CounterGossiper();
    router.emplace(config_, overlay, entropy_, random_.Split(absl::StrCat("life", ++lives_)), logger);
    if (config_.name != PeerName(kWithoutCounter)) router->AddChannel("counter", counter);
    transport_.Start();
    router->Start(queue_.now());
    Arm();
  }

  // The name of a peer without a consumer for the channel "counter".
  static constexpr std::uint64_t kWithoutCounter = 0xcc;

  static PeerName NameOf(sim::HostId id) { return PeerName(id + 1); }

  void Connect(sim::HostId other, bool replace = false) {
    Do([&](MeshOutput& out) { router->Connect(queue_.now(), {{Target(other)}}, replace, out); });
  }
  void Forget(sim::HostId other) {
    Do([&](MeshOutput& out) { router->Forget(queue_.now(), {{Target(other).text}}, out); });
  }
  static DirectPeer Target(sim::HostId other) {
    const SocketAddress address = sim::MeshAddressOf(other);
    return {address.ToString(), {address}};
  }

  // The line of status that speaks of `address`; null when there is none.
  std::optional<MeshStatus::Connection> StatusOf(sim::HostId other) const {
    for (const MeshStatus::Connection& connection : router->Status(queue_.now()).connections)
      if (connection.address == sim::MeshAddressOf(other).ToString()) return connection;
    return std::nullopt;
  }

  template <typename Call>
  void Do(Call call) {
    MeshOutput out;
    call(out);
    dial_count += out.dials.size();
    removed.insert(removed.end(), out.removed_peers.begin(), out.removed_peers.end());
    Take(std::move(out));
  }

  void Crash() {
    router.reset();
    overlay = HelloOverlay();
    transport_.Crash();
  }

  // ---- sim::MeshTransportObserver ----
  void OnConnected(ConnectionId id, const SocketAddress& local, const SocketAddress&) override {
    Do([&](MeshOutput& out) { router->OnConnected(queue_.now(), id, local, out); });
  }
  void OnAccepted(ConnectionId id, const SocketAddress& local, const SocketAddress& remote) override {
    Do([&](MeshOutput& out) { router->OnAccepted(queue_.now(), id, local, remote, out); });
  }
  void OnReceived(ConnectionId id, ByteView bytes) override {
    Do([&](MeshOutput& out) { router->OnReceived(queue_.now(), id, bytes, out); });
  }
  void OnWritable(ConnectionId id) override {
    Do([&](MeshOutput& out) { router->OnWritable(queue_.now(), id, out); });
  }
  void OnClosed(ConnectionId id, const absl::Status& reason) override {
    closed.emplace_back(reason.message());
    Do([&](MeshOutput& out) { router->OnClosed(queue_.now(), id, reason, out); });
  }

  HelloOverlay overlay;
  CounterGossiper counter;
  std::optional<MeshRouter> router;
  std::vector<std::string> closed;
  std::vector<PeerName> removed;  // peers that were told to be gone
  std::size_t dial_count = 0;
  MemoryLogger logger;

  std::uint64_t sent_size() const { return transport_.sent_size(); }

 private:
  void Take(MeshOutput out) {
    while (!overlay.events.empty()) {
      const auto events = std::exchange(overlay.events, {});
      for (const HelloOverlay::Event& event : events)
        std::visit([&](const auto& e) { router->OnOverlay(queue_.now(), e, out); }, event);
    }
    transport_.Perform(out);
    const absl::Status invariants = router->CheckInvariants();
    if (!invariants.ok()) FAIL(invariants.message());
    Arm();
  }

  void Arm() {
    const std::optional<MonotonicTime> deadline = router->NextDeadline();
    if (!deadline.has_value() || (armed_.has_value() && *armed_ <= *deadline && *armed_ > queue_.time())) return;
    armed_ = deadline;
    queue_.At(*deadline, [this, at = *deadline] {
      if (!router.has_value() || armed_ != at) return;
      armed_.reset();
      Do([&](MeshOutput& out) { router->OnTimer(queue_.now(), out); });
    });
  }

  MeshConfig config_;
  const Random random_;
  int lives_ = 0;
  sim::EventQueue& queue_;
  SeededEntropy entropy_;
  sim::MeshTransport transport_;
  std::optional<MonotonicTime> armed_;
};

class MeshWorld {
 public:
  explicit MeshWorld(std::size_t count, std::uint64_t seed = 1, const MeshConfig& config = {})
      : trace_(queue), transport({}, queue, Random(seed), trace_) {
    for (sim::HostId id = 0; id < count; ++id) Add(config, seed);
  }

  MeshHost& Add(const MeshConfig& config, std::uint64_t seed = 1) {
    const auto id = static_cast<sim::HostId>(hosts.size());
    return *hosts.emplace_back(std::make_unique<MeshHost>(id, config, seed, queue, transport));
  }

  // Each to the next, and no more than that where `config` says so.
  void ConnectChain() {
    for (sim::HostId id = 0; id + 1 < hosts.size(); ++id) hosts[id]->Connect(id + 1);
  }

  // Nothing passes between the two, in one direction or both.
  void Cut(sim::HostId a, sim::HostId b, bool both = true) {
    transport.Block(a, b);
    if (both) transport.Block(b, a);
  }

  MeshHost& host(std::size_t index) { return *hosts[index]; }
  MeshRouter& router(std::size_t index) { return *hosts[index]->router; }

  void RunFor(Duration duration) {
    const MonotonicTime end = queue.time() + duration;
    queue.At(end, [] {});  // the clock of a queue stands where its last event was
    while (queue.next_time().has_value() && *queue.next_time() <= end) queue.RunNext();
  }

  // Until `done` holds; false when it does not within `limit`.
  template <typename Done>
  bool RunUntil(Done done, Duration limit = absl::Minutes(10)) {
    const MonotonicTime end = queue.time() + limit;
    while (!done()) {
      if (!queue.next_time().has_value() || *queue.next_time() > end) return false;
      queue.RunNext();
    }
    return true;
  }

  // Those that are up know each other and nobody else, and all records are equal.
  bool Agreed() const {
    const auto up = [](const auto& host) { return host->router.has_value(); };
    const auto first = std::find_if(hosts.begin(), hosts.end(), up);
    const std::vector<const PeerSummary*> peers = (*first)->router->topology().Peers();
    if (peers.size() != static_cast<std::size_t>(std::count_if(hosts.begin(), hosts.end(), up))) return false;
    for (const auto& host : hosts) {
      if (!up(host)) continue;
      const std::vector<const PeerSummary*> theirs = host->router->topology().Peers();
      if (!std::equal(peers.begin(), peers.end(), theirs.begin(), theirs.end(),
                      [](const PeerSummary* a, const PeerSummary* b) { return *a == *b; }))
        return false;
    }
    return true;
  }

  // Every connection there is, on both sides.
  bool AllEstablished() const {
    for (const auto& host : hosts) {
      if (!host->router.has_value()) continue;
      for (const PeerSummary* peer : host->router->topology().Peers())
        for (const ConnectionSummary& connection : peer->connections)
          if (!connection.established) return false;
    }
    return true;
  }

  bool Established(std::size_t from, std::size_t to) const {
    const PeerSummary* self = hosts[from]->router->topology().Find(MeshHost::NameOf(static_cast<sim::HostId>(from)));
    for (const ConnectionSummary& connection : self->connections)
      if (connection.peer == MeshHost::NameOf(static_cast<sim::HostId>(to))) return connection.established;
    return false;
  }

  sim::EventQueue queue;

 private:
  sim::Trace trace_;

 public:
  sim::Transport transport;
  std::vector<std::unique_ptr<MeshHost>> hosts;
};

}  // namespace weave::test
