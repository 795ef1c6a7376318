#include "sim/sim_host.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave::sim {
namespace {

Duration DrawSkew(Random random, Duration max) { return max == absl::ZeroDuration() ? max : Draw(random, -max, max); }

DataPathOptions DrawDataPath(Random random, const std::optional<FastPathOptions>& fast_path) {
  DataPathOptions options;
  if (!fast_path.has_value() || random.Chance(fast_path->missing_permille, 1000)) return options;
  options.wiring = random.Chance(fast_path->direct_permille, 1000) ? Wiring::kDirect : Wiring::kBridged;
  options.checks_sizes = !random.Chance(fast_path->old_kernel_permille, 1000);
  options.searches_mtu = fast_path->search_mtu;
  options.mutant = fast_path->mutant;
  return options;
}

}  // namespace

void SimHost::TraceLogger::Write(LogLevel level, absl::string_view message, absl::Span<const LogField> fields) {
  trace_.Note(id_, "log", static_cast<int>(level), message, FormatFields(fields));
}

SimHost::SimHost(HostId id, SimHostOptions options, const World& world, const Random& random,
                 HostObserver& host_observer, CallObserver& call_observer)
    : id_(id),
      options_(std::move(options)),
      clock_skew_(DrawSkew(random.Split("clock"), options_.max_clock_skew)),
      old_(random.Split("age").Chance(options_.old_permille, 1000)),
      queue_(world.queue),
      trace_(world.trace),
      call_observer_(call_observer),
      logger_(id, world.trace),
      entropy_(random.Split("entropy")),
      mesh_transport_(id, world.queue, world.transport, *this),
      data_path_(id, DrawDataPath(random.Split("wiring"), options_.fast_path), world.queue, world.datagrams,
                 random.Split("data path"), world.frames, logger_,
                 [this](const NetworkEvent& event) { OnNetwork(event); }),
      disk_(id, options_.disk, world.queue, random.Split("disk"), world.trace),
      model_(id, options_.model, world.queue, random.Split("host"), world.trace, host_observer) {}

Now SimHost::now() const {
  Now now = queue_.now();
  now.wall += clock_skew_;
  return now;
}

void SimHost::Start() {
  CHECK(!up());
  ++incarnation_;
  trace_.Note(id_, "start", incarnation_);
  PeerConfig config;
  config.name = NameOf(id_);
  config.nickname = absl::StrCat("sim", id_);
  config.boot_id = model_.boot_id();
  config.mesh = options_.mesh;
  config.mesh.name = config.name;
  config.mesh.nickname = config.nickname;
  config.direct_peers = DirectPeersOf(targets_);
  config.mesh.inventory = config.mesh.inventory && !old_;
  if (data_path_.has_datapath())
    config.fastdp = FastdpConfig{config.name, kVxlanPort, kDefaultTunnelMtu, options_.fast_path->search_mtu};
  config.ipam = options_.ipam;
  config.dns_domain = options_.dns_domain;
  config.tombstone_life = options_.tombstone_life;
  core_ = std::make_unique<PeerCore>(std::move(config), entropy_, logger_);
  gate_ = OutputGate();
  work_timer_.reset();
  network_timer_.reset();
  std::vector<Record> records;
  std::vector<EndpointRecord> endpoints;
  for (const auto& [key, record] : disk_.durable()) {
    records.push_back(record);
    if (const auto* endpoint = std::get_if<EndpointRecord>(&record)) endpoints.push_back(*endpoint);
  }
  Forget(options_.ipam_mutant, records);
  model_.Listen([this](const HostChange& change) {
    if (!up()) return;
    trace_.Note(id_, "host change", change.index());
    PeerOutput output;
    core_->OnHostChange(now(), change, output);
    Take(std::move(output));
  });
  mesh_transport_.Start();
  data_path_.Start(NameOf(id_));
  PeerOutput output;
  core_->OnStart(now(), records, model_.Inventory(endpoints), output);
  Take(std::move(output));
}

void SimHost::Crash() {
  if (!up()) return;
  trace_.Note(id_, "crash");
  ++crash_count_;
  ++incarnation_;
  core_.reset();
  if (options_.forget_targets) targets_.clear();
  mesh_transport_.Crash();
  data_path_.Crash();
  disk_.Crash();
  model_.PeerCrashed();
  waiting_.clear();
  call_observer_.OnCrash();
}

void SimHost::Reboot() {
  Crash();
  model_.Reboot();
  data_path_.Reboot();
}

void SimHost::Heal() {
  disk_.Heal();
  model_.Heal();
}

void SimHost::CheckClean() {
  if (model_.bridge().has_value()) trace_.Violation(id_, "a reset left the bridge");
  if (model_.filter_ready()) trace_.Violation(id_, "a reset left packet filter rules");
  for (const auto& [inode, sandbox] : model_.sandboxes())
    if (sandbox.interface.has_value())
      trace_.Violation(id_, absl::StrCat("a reset left the interface of sandbox ", inode));
  // The record of a container that ended long ago may be left by a disk that failed: the next start forgets it.
  for (const auto& [key, record] : disk_.durable())
    if (!std::holds_alternative<EndpointRecord>(record))
      trace_.Violation(id_, absl::StrCat("a reset left record ", key));
}

RequestId SimHost::Submit(ApiRequest request, Done done) {
  CHECK(up());
  const RequestId id = ++last_request_;
  trace_.Note(id_, "request", id, request.index());
  waiting_.emplace(id, std::move(done));
  call_observer_.OnSubmit(id, request);
  PeerOutput output;
  core_->OnRequest(now(), id, std::move(request), output);
  Take(std::move(output));
  return id;
}

void SimHost::Cancel(RequestId id) {
  if (!up() || !waiting_.contains(id)) return;
  trace_.Note(id_, "cancel", id);
  PeerOutput output;
  core_->OnCancel(now(), id, output);
  Take(std::move(output));
}

void SimHost::CancelAll() {
  std::vector<RequestId> waiting;
  for (const auto& [id, done] : waiting_) waiting.push_back(id);
  for (const RequestId id : waiting) Cancel(id);
}

// ---- the network ----

std::vector<DirectPeer> SimHost::DirectPeersOf(const std::vector<HostId>& peers) const {
  std::vector<DirectPeer> result;
  for (const HostId peer : peers) {
    const SocketAddress address = MeshAddressOf(peer);
    result.push_back({address.ToString(), {address}});
  }
  return result;
}

void SimHost::ConnectTo(std::vector<HostId> peers) {
  targets_ = std::move(peers);
  if (!up()) return;
  Submit(ConnectRequest{DirectPeersOf(targets_), /*replace=*/true}, [](const Reply&) {});
}

void SimHost::OnNetwork(const NetworkEvent& event) {
  PeerOutput output;
  core_->OnNetwork(now(), event, output);
  Take(std::move(output));
}

void SimHost::OnConnected(weave::ConnectionId connection, const SocketAddress& local, const SocketAddress&) {
  OnNetwork(ConnectionOpened{connection, local});
}
void SimHost::OnAccepted(weave::ConnectionId connection, const SocketAddress& local, const SocketAddress& remote) {
  OnNetwork(ConnectionAccepted{connection, local, remote});
}
void SimHost::OnReceived(weave::ConnectionId connection, ByteView bytes) {
  OnNetwork(BytesReceived{connection, bytes});
}
void SimHost::OnWritable(weave::ConnectionId connection) {
  if (!options_.forget_writable) OnNetwork(ConnectionWritable{connection});
}
void SimHost::OnClosed(weave::ConnectionId connection, const absl::Status& reason) {
  OnNetwork(ConnectionClosed{connection, reason});
}

void SimHost::PerformNetwork(NetworkOutput output) {
  mesh_transport_.Perform(output.mesh);
  data_path_.Perform(output);
}

void SimHost::Take(PeerOutput output) {
  if (const absl::Status invariants = options_.check_invariants ? core_->CheckInvariants() : absl::OkStatus();
      !invariants.ok())
    trace_.Violation(id_, absl::StrCat("the core contradicts itself: ", invariants.message()));
  PerformNetwork(std::exchange(output.network, {}));
  const AllocatorOutput early = TakeEarly(options_.ipam_mutant, output.ipam);
  if (!output.empty()) Push(std::move(output));
  if (!early.empty()) HandEarly(early);
  ArmTimer();
}

void SimHost::Push(PeerOutput output) {
  if (std::optional<PendingWrite> write = gate_.Push(std::move(output))) {
    const std::uint64_t sequence = write->sequence;
    const bool early = options_.perform_before_durable;
    disk_.Write(std::move(write->changes), [this, sequence, early](absl::Status status) {
      if (early) return;
      if (options_.forget_persist_failure) status = absl::OkStatus();
      gate_.OnDurable(sequence, std::move(status));
      Release();
    });
    if (early) gate_.OnDurable(sequence, absl::OkStatus());
  }
  Release();
}

void SimHost::Release() {
  while (std::optional<OutputGate::Released> released = gate_.Pop()) {
    if (released->status.ok()) {
      Perform(std::move(released->output));
      continue;
    }
    PeerOutput output;
    core_->OnPersistFailed(now(), released->status, released->output, output);
    Take(std::move(output));
  }
}

void SimHost::Perform(PeerOutput output) {
  for (HostCommand& command : output.commands) {
    const CommandId id = command.id;
    model_.Execute(std::move(command), [this, id](const HostResult& result) {
      PeerOutput next;
      core_->OnCommandDone(now(), id, result, next);
      Take(std::move(next));
    });
  }
  for (const Reply& reply : output.replies) {
    Answer(reply);
    if (options_.answer_twice && reply.request % 16 == 0) Answer(reply);
  }
  if (!output.ipam.empty()) Hand(output.ipam);
}

void SimHost::Hand(const AllocatorOutput& ipam) {
  PeerOutput next;
  core_->OnReleased(now(), ipam, next);
  Take(std::move(next));
}

void SimHost::HandEarly(const AllocatorOutput& ipam) {
  PeerOutput next;
  core_->OnReleased(now(), ipam, next);
  for (const Reply& reply : std::exchange(next.replies, {})) Answer(reply);  // past the gate
  Take(std::move(next));
}

void SimHost::Answer(const Reply& reply) {
  trace_.Note(id_, "reply", reply.request, static_cast<int>(reply.status.code()), reply.status.message(),
              reply.addresses.size());
  const auto waiting = waiting_.find(reply.request);
  if (waiting == waiting_.end())
    return trace_.Violation(id_, absl::StrCat("request ", reply.request, " was answered, but nobody waits for it"));
  Done done = std::move(waiting->second);
  waiting_.erase(waiting);
  call_observer_.OnReply(reply);
  if (done) done(reply);
}

void SimHost::ArmTimer() {
  Arm(work_timer_, core_->NextHostDeadline(), /*background=*/false);
  if (!options_.deaf_to_network_timer) Arm(network_timer_, core_->NextDeadline(), /*background=*/true);
}

void SimHost::Arm(std::optional<MonotonicTime>& armed, std::optional<MonotonicTime> deadline, bool background) {
  if (deadline == armed) return;
  armed = deadline;
  if (!deadline.has_value()) return;
  EventQueue::Action ring = [this, &armed, incarnation = incarnation_, time = *deadline] {
    if (incarnation != incarnation_ || armed != time) return;
    armed.reset();
    trace_.Note(id_, "timer");
    PeerOutput output;
    core_->OnTimer(now(), output);
    Take(std::move(output));
  };
  if (background)
    queue_.AtInBackground(*deadline, std::move(ring));
  else
    queue_.At(*deadline, std::move(ring));
}

}  // namespace weave::sim
