// How the mesh grows: many routers in one process on the simulated TCP, ten links each. Virtual time, messages and
// bytes are those of the protocol; CPU time is this program's, for all peers together. Between two rows stands how the
// figures grow: as which power of the number of peers.
//
//   mesh_scale_bench [PEERS...]      (100 300 1000 3000)
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/random.h"
#include "mesh/mesh_router.h"
#include "sim/event_queue.h"
#include "sim/mesh_transport.h"
#include "sim/trace.h"
#include "sim/transport.h"

namespace weave {
namespace {

constexpr std::size_t kDialsPerPeer = 5;  // ten links, each of two ends
const Duration kGiveUp = absl::Minutes(20);

// Hosts of one site, with the buffers that Linux gives a connection.
sim::TransportOptions LocalNetwork() {
  sim::TransportOptions options;
  options.max_latency = absl::Milliseconds(2);
  options.send_buffer_size = 256 * 1024;
  options.max_segment_size = 64 * 1024;
  return options;
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

// Established as soon as the other end has said hello.
class HelloOverlay final : public Overlay {
 public:
  using Event = std::variant<OverlayEstablished, OverlayControl>;

  std::string Names() const override { return "hello"; }
  absl::Status Prepare(Now, const OverlayConnection&) override { return absl::OkStatus(); }
  void Confirm(Now, ConnectionId connection) override { events.push_back(OverlayControl{connection, {7, 0, 0}}); }
  absl::Status OnControl(Now, ConnectionId connection, ByteView) override {
    events.push_back(OverlayEstablished{connection});
    return absl::OkStatus();
  }
  void Stop(Now, ConnectionId) override {}
  OverlayStatus Status(ConnectionId) const override { return {"hello", {}}; }

  std::vector<Event> events;
};

class Host final : public sim::MeshTransportObserver {
 public:
  Host(sim::HostId id, PeerRecordPool& pool, sim::EventQueue& queue, sim::Transport& transport)
      : id_(id), pool_(pool), queue_(queue), entropy_(id + 1), transport_(id, queue, transport, *this) {}

  void Start(std::vector<sim::HostId> targets) {
    targets_ = std::move(targets);
    Start();
  }
  void Start() {
    MeshConfig config;
    config.name = PeerName(0x0200'0000'0001 + id_);
    config.nickname = absl::StrCat("host", id_);
    config.discovery = false;
    config.connection_limit = 0;
    config.pool = &pool_;
    overlay_.events.clear();
    armed_.reset();
    router_.emplace(std::move(config), overlay_, entropy_, Random(entropy_.Next()), logger_);
    transport_.Start();
    router_->Start(queue_.now());
    std::vector<DirectPeer> peers;
    for (const sim::HostId target : targets_) {
      const SocketAddress address = sim::MeshAddressOf(target);
      peers.push_back({address.ToString(), {address}});
    }
    Do([&](MeshOutput& out) { router_->Connect(queue_.now(), peers, /*replace=*/true, out); });
  }
  void Crash() {
    router_.reset();
    transport_.Crash();
  }

  const MeshRouter& router() const { return *router_; }
  bool up() const { return router_.has_value(); }

  void OnConnected(ConnectionId id, const SocketAddress& local, const SocketAddress&) override {
    Do([&](MeshOutput& out) { router_->OnConnected(queue_.now(), id, local, out); });
  }
  void OnAccepted(ConnectionId id, const SocketAddress& local, const SocketAddress& remote) override {
    Do([&](MeshOutput& out) { router_->OnAccepted(queue_.now(), id, local, remote, out); });
  }
  void OnReceived(ConnectionId id, ByteView bytes) override {
    Do([&](MeshOutput& out) { router_->OnReceived(queue_.now(), id, bytes, out); });
  }
  void OnWritable(ConnectionId id) override {
    Do([&](MeshOutput& out) { router_->OnWritable(queue_.now(), id, out); });
  }
  void OnClosed(ConnectionId id, const absl::Status& reason) override {
    Do([&](MeshOutput& out) { router_->OnClosed(queue_.now(), id, reason, out); });
  }

 private:
  template <typename Call>
  void Do(Call call) {
    MeshOutput out;
    call(out);
    while (!overlay_.events.empty()) {
      for (const HelloOverlay::Event& event : std::exchange(overlay_.events, {}))
        std::visit([&](const auto& e) { router_->OnOverlay(queue_.now(), e, out); }, event);
    }
    transport_.Perform(out);
    Arm();
  }

  void Arm() {
    const std::optional<MonotonicTime> deadline = router_->NextDeadline();
    if (!deadline.has_value() || (armed_.has_value() && *armed_ <= *deadline)) return;
    armed_ = deadline;
    queue_.AtInBackground(*deadline, [this, at = *deadline] {
      if (armed_ != at) return;
      armed_.reset();
      if (router_.has_value()) Do([&](MeshOutput& out) { router_->OnTimer(queue_.now(), out); });
    });
  }

  const sim::HostId id_;
  PeerRecordPool& pool_;
  sim::EventQueue& queue_;
  NullLogger logger_;
  SeededEntropy entropy_;
  sim::MeshTransport transport_;
  std::vector<sim::HostId> targets_;
  HelloOverlay overlay_;
  std::optional<MeshRouter> router_;
  std::optional<MonotonicTime> armed_;
};

struct Load {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

class World {
 public:
  World(std::size_t count, std::uint64_t seed)
      : random_(seed), trace_(queue_), transport_(LocalNetwork(), queue_, random_, trace_) {
    for (sim::HostId id = 0; id < count; ++id) hosts_.push_back(std::make_unique<Host>(id, pool_, queue_, transport_));
    for (sim::HostId id = 0; id < count; ++id) {
      std::vector<sim::HostId> targets = {static_cast<sim::HostId>((id + 1) % count)};
      while (targets.size() < std::min(kDialsPerPeer, count - 1)) {
        const auto other = static_cast<sim::HostId>(random_.Below(count));
        if (other != id && std::find(targets.begin(), targets.end(), other) == targets.end()) targets.push_back(other);
      }
      queue_.After(sim::Draw(random_, absl::ZeroDuration(), absl::Seconds(1)),
                   [host = hosts_[id].get(), targets = std::move(targets)] { host->Start(targets); });
    }
  }

  // Some peers die, and come back five seconds later as if new.
  void Churn(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      Host& host = *hosts_[random_.Below(hosts_.size())];
      if (!host.up()) continue;
      host.Crash();
      queue_.After(absl::Seconds(5), [&host] { host.Start(); });
    }
    RunFor(absl::Seconds(6));
  }

  void RunFor(Duration duration) {
    time_ = time_ + duration;
    while (queue_.next_time().has_value() && *queue_.next_time() <= time_) queue_.RunNext();
  }

  // Whether they did in time.
  bool RunUntilAgreed() {
    const MonotonicTime end = time_ + kGiveUp;
    while (!Agreed()) {
      if (time_ > end) return false;
      RunFor(absl::Milliseconds(500));
    }
    return true;
  }

  MonotonicTime time() const { return time_; }

  Load Sent() const {
    Load load;
    for (const auto& host : hosts_) {
      load.messages += host->router().stats().messages_sent;
      load.bytes += host->router().stats().bytes_sent;
    }
    return load;
  }

 private:
  // Records are shared, so that equal ones are the same object.
  bool Agreed() const {
    std::vector<const PeerSummary*> own;
    for (const auto& host : hosts_) {
      if (!host->up()) return false;
      const Topology& topology = host->router().topology();
      own.push_back(topology.Find(topology.self()));
      for (const ConnectionSummary& connection : own.back()->connections)
        if (!connection.established) return false;
    }
    return std::all_of(hosts_.begin(), hosts_.end(), [&](const auto& host) {
      const Topology& topology = host->router().topology();
      return topology.peer_count() == own.size() && topology.Find(own.front()->name) == own.front() &&
             topology.Find(own.back()->name) == own.back() && topology.Peers() == own;
    });
  }

  Random random_;
  MonotonicTime time_;  // the queue's is that of its last event
  sim::EventQueue queue_;
  sim::Trace trace_;
  sim::Transport transport_;
  PeerRecordPool pool_;
  std::vector<std::unique_ptr<Host>> hosts_;
};

struct Phase {
  double virtual_seconds = 0;
  double cpu_seconds = 0;
};

// This program's: one thread.
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

template <typename Run>
Phase Measure(World& world, Run run) {
  const MonotonicTime virtual_start = world.time();
  const double cpu_start = CpuSeconds();
  run();
  return {absl::ToDoubleSeconds(world.time() - virtual_start), CpuSeconds() - cpu_start};
}

double PeakMegabytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// What one size of network costs.
struct Row {
  double peers = 0;
  Phase cold;
  double cold_messages = 0;  // a peer
  double cold_kilobytes = 0;
  Phase churn;
  double churn_kilobytes = 0;
  double messages = 0;  // a peer a minute, at rest
  double kilobytes = 0;
  double cpu_seconds = 0;  // a virtual minute at rest, all peers
  bool agreed = false;
};

Row Run(std::size_t count) {
  World world(count, /*seed=*/1);
  Row row;
  row.peers = static_cast<double>(count);
  const auto kilobytes = [&](const Load& before, const Load& after) {
    return static_cast<double>(after.bytes - before.bytes) / 1024 / row.peers;
  };
  row.cold = Measure(world, [&] { row.agreed = world.RunUntilAgreed(); });
  const Load cold = world.Sent();
  row.cold_messages = static_cast<double>(cold.messages) / row.peers;
  row.cold_kilobytes = kilobytes({}, cold);
  Load churned;
  row.churn = Measure(world, [&] {
    world.Churn(std::max<std::size_t>(1, count / 10));
    row.agreed = world.RunUntilAgreed() && row.agreed;
    churned = world.Sent();
  });
  row.churn_kilobytes = kilobytes(cold, churned);
  world.RunFor(absl::Seconds(30));
  const Load before = world.Sent();
  constexpr double kMinutes = 2;
  const Phase rest = Measure(world, [&] { world.RunFor(absl::Minutes(kMinutes)); });
  const Load after = world.Sent();
  row.messages = static_cast<double>(after.messages - before.messages) / row.peers / kMinutes;
  row.kilobytes = kilobytes(before, after) / kMinutes;
  row.cpu_seconds = rest.cpu_seconds / kMinutes;
  return row;
}

void PrintTitle() {
  std::printf("        | cold start                            | 10 %% restart                 | at rest\n");
  std::printf(
      "  peers | virtual s  CPU s  messages   KiB/peer | virtual s  CPU s   KiB/peer | messages  KiB /peer/min"
      "  CPU s/min | peak MB\n");
}

void Print(const Row& row) {
  std::printf("%7.0f | %9.1f %6.1f %9.0f %10.0f | %9.1f %6.1f %10.0f | %8.1f %14.1f %10.2f | %7.0f%s\n", row.peers,
              row.cold.virtual_seconds, row.cold.cpu_seconds, row.cold_messages, row.cold_kilobytes,
              row.churn.virtual_seconds, row.churn.cpu_seconds, row.churn_kilobytes, row.messages, row.kilobytes,
              row.cpu_seconds, PeakMegabytes(), row.agreed ? "" : "  NOT AGREED");
  std::fflush(stdout);
}

// Each figure grows as the number of peers to the power of this.
void PrintGrowth(const Row& from, const Row& to) {
  const auto power = [&](double a, double b) { return std::log(b / a) / std::log(to.peers / from.peers); };
  std::printf(
      " ^ peers| %9.1f %6.1f %9.1f %10.1f | %9.1f %6.1f %10.1f | %8.1f %14.1f %10.1f |\n",
      power(from.cold.virtual_seconds, to.cold.virtual_seconds), power(from.cold.cpu_seconds, to.cold.cpu_seconds),
      power(from.cold_messages, to.cold_messages), power(from.cold_kilobytes, to.cold_kilobytes),
      power(from.churn.virtual_seconds, to.churn.virtual_seconds), power(from.churn.cpu_seconds, to.churn.cpu_seconds),
      power(from.churn_kilobytes, to.churn_kilobytes), power(from.messages, to.messages),
      power(from.kilobytes, to.kilobytes), power(from.cpu_seconds, to.cpu_seconds));
}

}  // namespace
}  // namespace weave

int main(int argc, char** argv) {
  std::vector<std::size_t> counts;
  for (int i = 1; i < argc; ++i) counts.push_back(static_cast<std::size_t>(std::max(2, std::atoi(argv[i]))));
  if (counts.empty()) counts = {100, 300, 1000, 3000};
  weave::PrintTitle();
  std::vector<weave::Row> rows;
  for (const std::size_t count : counts) {
    rows.push_back(weave::Run(count));
    weave::Print(rows.back());
    if (rows.size() > 1 && rows.back().peers != rows[rows.size() - 2].peers)
      weave::PrintGrowth(rows[rows.size() - 2], rows.back());
  }
  return std::all_of(rows.begin(), rows.end(), [](const weave::Row& row) { return row.agreed; }) ? 0 : 1;
}
