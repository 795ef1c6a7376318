#include "sim/simulation.h"

#include "absl/strings/str_cat.h"

namespace weave::sim {

Simulation::Member::Member(HostId id, const Options& options, const World& world, const Random& random)
    : oracle(id, world.trace),
      host(id, options.host, world, random.Split("machine"), oracle, oracle),
      workload(options.workload, host, world.queue, random.Split("workload")),
      faults(options, host, workload, world.queue, random.Split("faults")) {
  oracle.Watch(host.model());
}

Simulation::Simulation(const Options& options)
    : options_(options),
      trace_(queue_),
      random_(options.seed),
      transport_(options.transport, queue_, random_.Split("transport"), trace_),
      datagrams_(options.datagrams, queue_, transport_, random_.Split("datagrams")) {
  const World world{queue_, trace_, transport_, datagrams_};
  for (HostId id = 0; id < options.peers; ++id)
    members_.push_back(std::make_unique<Member>(id, options_, world, random_.Split(absl::StrCat("host ", id))));
  for (const auto& member : members_) member->host.Start();
}

Outcome Simulation::Run() {
  for (const auto& member : members_) {
    member->workload.Start();
    member->faults.Start();
  }
  RunFor(options_.duration);
  for (const auto& member : members_) {
    member->workload.Stop();
    member->faults.Heal();
  }
  CheckAtRest(RunUntilQuiet(options_.rest_within));
  return outcome();
}

void Simulation::RunFor(Duration duration) {
  const MonotonicTime end = queue_.time() + duration;
  while (!trace_.violation().has_value() && queue_.next_time().has_value() && *queue_.next_time() <= end)
    queue_.RunNext();
}

bool Simulation::RunUntilQuiet(Duration within) {
  const MonotonicTime end = queue_.time() + within;
  while (!trace_.violation().has_value() && queue_.has_work() && *queue_.next_time() <= end) queue_.RunNext();
  return !queue_.has_work();
}

void Simulation::CheckAtRest(bool quiet) {
  for (const auto& member : members_) {
    if (trace_.violation().has_value()) return;
    CheckLiveness(member->host, quiet, trace_);
    member->oracle.CheckAtRest();
    CheckHostAtRest(member->host, trace_);
  }
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
