#include "sim/simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "sim/mesh_checker.h"
#include "sim/ring_checker.h"

namespace weave::sim {

namespace {

Options WithAllocators(Options options) {
  if (!options.ipam.has_value()) return options;
  IpamConfig ipam{options.ipam->range, options.ipam->range, ConsensusBootstrap{1}};
  if (options.link_permille.has_value() && options.ipam->seeded) {
    SeedBootstrap seeds;
    const std::uint32_t founders = options.ring.has_value() ? options.ring->founders : options.peers;
    for (HostId id = 0; id < std::min(founders, options.peers); ++id) seeds.seeds.push_back(SimHost::NameOf(id));
    ipam.bootstrap = std::move(seeds);
  } else if (options.link_permille.has_value()) {
    ipam.bootstrap = ConsensusBootstrap{options.peers};
  }
  if (options.ring.has_value()) ipam.default_subnet = options.ring->default_subnet.value_or(ipam.range);
  options.host.ipam = std::move(ipam);
  return options;
}

SimHostOptions HostOptionsOf(HostId id, const Options& options) {
  SimHostOptions host = options.host;
  if (!options.ring.has_value() || options.ipam->seeded) return host;
  const std::uint32_t electors = std::min(options.ring->founders, options.peers);
  const bool guess = options.ring->guess_quorum && options.ring->everybody_dials && electors == options.peers;
  if (id >= electors)
    host.ipam->bootstrap = ObserverBootstrap{};
  else
    host.ipam->bootstrap = guess ? ConsensusBootstrap{} : ConsensusBootstrap{electors};
  return host;
}

// Votes that make the ring's first owners; none: they are given.
std::optional<std::size_t> QuorumOf(const Options& options) {
  if (options.ipam->seeded) return std::nullopt;
  return std::min(options.ring->founders, options.peers) / 2 + 1;
}

CallerOptions CallersOf(const Options& options) {
  CallerOptions none;
  none.callers = 0;
  return options.ring.has_value() ? options.ring->callers : none;
}

// Where an address must not be on two hosts.
std::optional<Cidr> SharedRange(const Options& options) {
  if (!options.ipam.has_value() || !options.link_permille.has_value()) return std::nullopt;
  return options.ipam->range;
}

}  // namespace

Simulation::Member::Member(HostId id, const Options& options, const World& world, NetworkOracle& network,
                           const Random& random)
    : oracle(id, network, world.trace),
      host(id, HostOptionsOf(id, options), world, random.Split("machine"), oracle, oracle),
      workload(options.workload, host, world.queue, random.Split("workload")),
      names(options.names.value_or(NameOptions{0, 0}), host, world.queue, world.trace, random.Split("names")),
      faults(options, host, workload, world.queue, random.Split("faults")),
      callers(CallersOf(options), options.ipam.has_value() ? options.ipam->range : Cidr(), host, world.queue, network,
              random.Split("callers")),
      guests(options.guests, options.ipam.has_value() ? options.ipam->range : Cidr(), host, world.queue, network,
             random.Split("guests")) {
  oracle.Watch(host.model());
}

Simulation::Simulation(const Options& options)
    : options_(WithAllocators(options)),
      trace_(queue_),
      random_(options.seed),
      transport_(options.transport, queue_, random_.Split("transport"), trace_),
      datagrams_(options.datagrams, queue_, transport_, random_.Split("datagrams")),
      network_faults_(options.network_faults, options.peers, transport_, datagrams_, queue_,
                      random_.Split("network faults")),
      network_oracle_(SharedRange(options_), trace_),
      name_checker_(trace_),
      frame_book_(options.host.mesh.password.has_value(), trace_) {
  const World world{queue_, trace_, transport_, datagrams_, options.frames.has_value() ? &frame_book_ : nullptr};
  for (HostId id = 0; id < options.peers; ++id)
    members_.push_back(
        std::make_unique<Member>(id, options_, world, network_oracle_, random_.Split(absl::StrCat("host ", id))));
  if (options.ring.has_value())
    ConnectAround(random_.Split("links"));
  else if (options.link_permille.has_value())
    ConnectAtRandom(random_.Split("links"));
  if (options.ring.has_value()) {
    std::vector<RingOperators::Host> hosts;
    for (const auto& member : members_)
      hosts.push_back({&member->host, &member->faults, &member->workload, &member->callers, &member->guests});
    operators_.emplace(options.ring->operators, hosts, queue_, trace_, random_.Split("operators"));
    paxos_checker_.emplace(QuorumOf(options), trace_);
  }
  if (options.frames.has_value()) {
    std::vector<SimHost*> hosts;
    for (const auto& member : members_) hosts.push_back(&member->host);
    frames_.emplace(*options.frames, hosts, frame_book_, queue_, random_.Split("frames"));
    std::vector<MacAddress> nics;
    for (const FrameWorkload::Station& station : frames_->stations()) nics.push_back(station.mac);
    kernel_faults_.emplace(options.kernel_faults, hosts, nics, queue_, trace_, random_.Split("kernel faults"));
  }
  for (const auto& member : members_)
    if (!operators_.has_value() || operators_->Counts(member->host.id())) member->host.Start();
}

// Each dials the next two of a circle, so that those who are left are connected whichever three are gone.
void Simulation::ConnectAround(Random random) {
  const std::size_t count = members_.size();
  std::vector<HostId> circle(count);
  for (HostId id = 0; id < count; ++id) circle[id] = id;
  for (std::size_t i = count; i > 1; --i) std::swap(circle[i - 1], circle[random.Below(i)]);
  const std::size_t reach = options_.ring->everybody_dials ? count - 1 : std::min<std::size_t>(2, count - 1);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<HostId> targets;
    for (std::size_t step = 1; step <= reach; ++step) targets.push_back(circle[(i + step) % count]);
    members_[circle[i]]->host.ConnectTo(std::move(targets));
  }
}

void Simulation::ConnectAtRandom(Random random) {
  std::vector<std::vector<HostId>> targets(members_.size());
  for (HostId b = 1; b < members_.size(); ++b) {
    const auto needed = static_cast<HostId>(random.Below(b));  // so that nobody is apart
    for (HostId a = 0; a < b; ++a) {
      if (a != needed && !random.Chance(*options_.link_permille, 1000)) continue;
      const std::uint64_t who = random.Below(3);
      if (who != 0) targets[a].push_back(b);
      if (who != 1) targets[b].push_back(a);
    }
  }
  for (HostId id = 0; id < members_.size(); ++id) members_[id]->host.ConnectTo(std::move(targets[id]));
}

Outcome Simulation::Run() {
  if (options_.ring.has_value()) {
    RunRing();
    return outcome();
  }
  for (const auto& member : members_) {
    member->workload.Start();
    if (options_.names.has_value()) member->names.Start();
    member->guests.Start();
    member->faults.Start();
  }
  network_faults_.Start();
  if (frames_.has_value()) {
    frames_->Start();
    kernel_faults_->Start();
  }
  RunFor(options_.duration);
  network_faults_.Heal();
  if (frames_.has_value()) {
    kernel_faults_->Heal();
    frames_->Stop();
  }
  for (const auto& member : members_) {
    member->workload.Stop();
    member->names.Stop();
    member->guests.Stop();
    member->faults.Heal();
  }
  if (options_.ipam.has_value()) RunUntilAnswered(options_.agree_within);
  CheckAtRest(RunUntilQuiet(options_.rest_within));
  if (options_.link_permille.has_value()) RunUntilAgreed(options_.agree_within);
  RunUntilFree();
  if (frames_.has_value()) RunFrames();
  if (options_.names.has_value()) {
    RunUntilNamed(options_.name_within);
    LoseOne();
  }
  return outcome();
}

void Simulation::LoseOne() {
  SimHost& host = members_[PickLeaf()]->host;
  host.Crash();
  RunUntilAgreed(options_.agree_within);
  RunUntilNamed(options_.name_within);
  host.Start();
  RunUntilAgreed(options_.agree_within);
  RunUntilNamed(options_.name_within);
}

HostId Simulation::PickLeaf() const {
  for (HostId leaf = 0; leaf < members_.size(); ++leaf) {
    const HostId start = leaf == 0 ? 1 : 0;
    absl::btree_set<HostId> reached = {leaf, start};
    for (std::size_t before = 0; before != reached.size();) {
      before = reached.size();
      for (const auto& member : members_)
        for (const HostId target : member->host.targets())
          if (target != leaf && member->host.id() != leaf &&
              (reached.contains(target) || reached.contains(member->host.id())))
            reached.insert({target, member->host.id()});
    }
    if (reached.size() == std::max<std::size_t>(members_.size(), 2)) return leaf;
  }
  return 0;
}

void Simulation::RunFor(Duration duration) { RunTo(queue_.time() + duration); }

void Simulation::RunTo(MonotonicTime end) {
  while (!trace_.violation().has_value() && queue_.next_time().has_value() && *queue_.next_time() <= end) RunNext();
}

// What must hold at any time is looked at after every event: who looks seldom takes what went and came for one change.
void Simulation::RunNext() {
  queue_.RunNext();
  if (operators_.has_value()) LookAtRing();
  if (frames_.has_value()) CheckFlows();
  if (!options_.names.has_value()) return;
  for (const auto& member : members_) name_checker_.Look(member->host);
}

bool Simulation::RunUntilQuiet(Duration within) {
  const MonotonicTime end = queue_.time() + within;
  while (!trace_.violation().has_value() && queue_.has_work() && *queue_.next_time() <= end) RunNext();
  return !queue_.has_work();
}

bool Simulation::RunUntilAnswered(Duration within) {
  const MonotonicTime end = queue_.time() + within;
  const auto waits = [](const auto& member) { return member->host.up() && member->host.waiting_count() > 0; };
  // The clock stands still where nothing happens, so the time is counted here.
  for (MonotonicTime at = queue_.time(); std::any_of(members_.begin(), members_.end(), waits);) {
    if (trace_.violation().has_value() || at >= end) return false;
    at = at + absl::Seconds(1);
    RunTo(at);
  }
  return true;
}

void Simulation::RunUntilAgreed(Duration within) {
  RunUntilOk(within, [&] {
    std::vector<const MeshRouter*> routers;
    for (const auto& member : members_)
      if (member->host.up()) routers.push_back(&member->host.core().mesh());
    if (absl::Status topologies = CheckTopologies(routers); !topologies.ok())
      return Annotate(topologies, "the peers do not agree");
    RunFor(absl::Seconds(1));  // routes follow; unless another connection has come meanwhile
    return CheckRoutes(routers);
  });
}

void Simulation::RunUntilOk(Duration within, absl::FunctionRef<absl::Status()> check) {
  const MonotonicTime end = queue_.time() + within;
  absl::Status status = check();
  for (MonotonicTime at = queue_.time(); !status.ok() && at < end && !trace_.violation().has_value();) {
    at = at + absl::Seconds(1);
    RunTo(at);
    status = check();
  }
  if (!status.ok()) trace_.Violation(0, status.message());
}

// Only where somebody comes and goes: looking goes on for ever, and takes time.
void Simulation::RunUntilFree() {
  if (options_.guests.guests == 0) return;
  RunUntilOk(options_.guests.free_within, [this] {
    for (const auto& member : members_) RETURN_IF_ERROR(member->guests.CheckRecords());
    return absl::OkStatus();
  });
}

absl::Status Simulation::CheckNamesNow() const {
  std::vector<const SimHost*> up;
  LiveNames expected;
  for (const auto& member : members_) {
    if (!member->names.settled())
      return absl::InternalError(absl::StrCat("host ", member->host.id(), " has containers that wait for a name"));
    if (!member->host.up()) continue;
    up.push_back(&member->host);
    member->names.AddExpected(expected);
  }
  return CheckNames(up, expected);
}

void Simulation::RunUntilNamed(Duration within) {
  RunUntilOk(within, [this] { return CheckNamesNow(); });
}

void Simulation::CheckAtRest(bool quiet) {
  for (const auto& member : members_) {
    if (trace_.violation().has_value()) return;
    CheckLiveness(member->host, quiet, trace_);
    member->oracle.CheckAtRest();
    CheckHostAtRest(member->host, trace_);
  }
  if (!options_.link_permille.has_value()) return;
  if (const absl::Status owners = CheckOwners(LiveAllocators()); !owners.ok()) trace_.Violation(0, owners.message());
}

std::vector<const Allocator*> Simulation::LiveAllocators() const {
  std::vector<const Allocator*> allocators;
  for (const auto& member : members_)
    if (member->host.up() && member->host.core().allocator() != nullptr)
      allocators.push_back(member->host.core().allocator());
  return allocators;
}

Outcome Simulation::outcome() const {
  Outcome outcome{options_.seed, queue_.step_count(), 0, 0, trace_.hash(), trace_.violation()};
  for (const auto& member : members_) {
    outcome.requests += member->host.request_count();
    outcome.crashes += member->host.crash_count();
  }
  return outcome;
}

}  // namespace weave::sim
