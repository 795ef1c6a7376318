// Routers on a simulated network, with an overlay that is established as soon as both ends have said so.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
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

  std::uint8_t value = 0;
  std::vector<std::pair<PeerName, Bytes>> unicasts;
  std::vector<PeerName> broadcasts;
};

class MeshHost final : public sim::MeshTransportObserver {
 public:
  MeshHost(sim::HostId id, MeshConfig config, std::uint64_t seed, sim::EventQueue& queue, sim::Transport& transport)
      : id_(id), queue_(queue), entropy_(seed * 1000 + id), transport_(id, queue, transport, *this) {
    config.name = NameOf(id);
    config.nickname = absl::StrCat("host", id);
    router.emplace(std::move(config), overlay, entropy_, Random(seed).Split(absl::StrCat("host", id)), logger_);
    router->AddChannel("counter", counter);
    transport_.Start();
    router->Start(queue.now());
    Arm();
  }

  static PeerName NameOf(sim::HostId id) { return PeerName(id + 1); }

  void Connect(sim::HostId other) {
    const SocketAddress address = sim::MeshAddressOf(other);
    Do([&](MeshOutput& out) { router->Connect(queue_.now(), {{{address.ToString(), {address}}}}, false, out); });
  }

  template <typename Call>
  void Do(Call call) {
    MeshOutput out;
    call(out);
    Take(std::move(out));
  }

  void Crash() {
    router.reset();
    overlay = HelloOverlay();
    transport_.Crash();
  }

  // ---- sim::MeshTransportObserver ----
  void OnConnected(ConnectionId id, const SocketAddress& local, const SocketAddress& remote) override {
    Do([&](MeshOutput& out) { router->OnConnected(queue_.now(), id, local, remote, out); });
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

  const sim::HostId id_;
  sim::EventQueue& queue_;
  NullLogger logger_;
  SeededEntropy entropy_;
  sim::MeshTransport transport_;
  std::optional<MonotonicTime> armed_;
};

class MeshWorld {
 public:
  explicit MeshWorld(std::size_t count, std::uint64_t seed = 1, const MeshConfig& config = {})
      : trace_(queue), transport({}, queue, Random(seed), trace_) {
    for (sim::HostId id = 0; id < count; ++id)
      hosts.push_back(std::make_unique<MeshHost>(id, config, seed, queue, transport));
  }

  MeshHost& host(std::size_t index) { return *hosts[index]; }
  MeshRouter& router(std::size_t index) { return *hosts[index]->router; }

  void RunFor(Duration duration) {
    const MonotonicTime end = queue.time() + duration;
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

  // All know all, and all records are equal.
  bool Agreed() const {
    const Topology& first = hosts.front()->router->topology();
    if (first.peer_count() != hosts.size()) return false;
    const std::vector<const PeerSummary*> peers = first.Peers();
    for (const auto& host : hosts) {
      const std::vector<const PeerSummary*> theirs = host->router->topology().Peers();
      if (!std::equal(peers.begin(), peers.end(), theirs.begin(), theirs.end(),
                      [](const PeerSummary* a, const PeerSummary* b) { return *a == *b; }))
        return false;
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
