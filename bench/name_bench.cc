// What names cost the network: whole peers in one process on the simulated TCP, in virtual time.
//
//   name_bench [NAMES]       10000 by default
//
// Three peers: what the one sends that NAMES names are registered at, and then at rest; once as our own peers do it,
// once as 2.8 peers do, which tell everything every 30 s. Then how a new name spreads among 3 and 300 peers with about
// ten links each.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "dns/name_registry.h"
#include "sim/simulation.h"

namespace weave::sim {
namespace {

const Duration kStep = absl::Milliseconds(1);

Options Network(std::uint32_t peers, std::uint32_t links_per_peer, bool old) {
  Options options;
  options.peers = peers;
  options.link_permille = peers <= links_per_peer ? 1000 : 1000 * links_per_peer / peers;
  options.host.dns_domain = "weave.local.";
  options.host.mesh.discovery = false;
  options.host.check_invariants = false;
  options.host.old_permille = old ? 1000 : 0;
  // Hosts of one site, with the buffers that Linux gives a connection.
  options.transport.max_latency = absl::Milliseconds(2);
  options.transport.send_buffer_size = 256 * 1024;
  options.transport.max_segment_size = 64 * 1024;
  return options;
}

// The queue's clock stands still where nothing happens.
void Advance(Simulation& simulation, Duration duration) {
  simulation.queue().AtInBackground(simulation.queue().time() + duration, [] {});
  simulation.RunFor(duration);
}

void AddName(SimHost& host, std::uint32_t number) {
  host.Submit(AddNameRequest{std::string(64, 'c') + std::to_string(number), IpAddress::V4(0x0a20'0000 + number),
                             "host" + std::to_string(number) + ".weave.local"},
              [](const Reply& reply) { CHECK(reply.status.ok()); });
}

std::uint64_t BytesOf(SimHost& host) { return host.core().mesh().stats().bytes_sent; }

// Virtual time until `count` names are known everywhere, in whole steps.
Duration SpreadTime(Simulation& simulation, std::uint32_t peers, std::size_t count) {
  Duration took = absl::ZeroDuration();
  const auto known = [&] {
    for (HostId id = 0; id < peers; ++id)
      if (simulation.host(id).core().names()->size() != count) return false;
    return true;
  };
  for (; !known(); took += kStep) {
    CHECK(took < absl::Minutes(5)) << "a name does not spread";
    Advance(simulation, kStep);
  }
  return took;
}

void MeasureBytes(std::uint32_t count, bool old) {
  Simulation simulation(Network(3, 10, old));
  simulation.RunUntilAgreed(absl::Minutes(5));
  SimHost& host = simulation.host(0);
  const auto sent_in = [&](Duration duration) {
    const std::uint64_t before = BytesOf(host);
    Advance(simulation, duration);
    return static_cast<double>(BytesOf(host) - before);
  };
  const std::uint64_t before = BytesOf(host);
  for (std::uint32_t number = 0; number < count; ++number) {  // as fast as callers of 2.8 were answered
    AddName(host, number);
    Advance(simulation, absl::Microseconds(700));
  }
  SpreadTime(simulation, 3, count);
  const double registering = static_cast<double>(BytesOf(host) - before);
  Advance(simulation, absl::Seconds(40));
  const double rest = sent_in(absl::Minutes(2)) / 2;
  std::printf("%-22s %7u names: %8.2f MB sent registering, %8.1f kB a minute at rest\n",
              old ? "telling all, as 2.8:" : "comparing:", count, registering / 1e6, rest / 1e3);
}

void MeasureSpread(std::uint32_t peers) {
  Simulation simulation(Network(peers, 10, /*old=*/false));
  simulation.RunUntilAgreed(absl::Minutes(20));
  CHECK(!simulation.trace().violation().has_value()) << *simulation.trace().violation();
  const auto messages = [&] {
    std::uint64_t sum = 0;
    for (HostId id = 0; id < peers; ++id) sum += simulation.host(id).core().mesh().stats().messages_sent;
    return sum;
  };
  AddName(simulation.host(0), 0);
  const Duration first = SpreadTime(simulation, peers, 1);
  Advance(simulation, absl::Seconds(3));
  const std::uint64_t before = messages();
  AddName(simulation.host(peers - 1), 1);
  const Duration took = SpreadTime(simulation, peers, 2);
  std::printf("%3u peers: a new name is everywhere after %3.0f ms (and %3.0f), %llu messages sent meanwhile\n", peers,
              absl::ToDoubleMilliseconds(took), absl::ToDoubleMilliseconds(first),
              static_cast<unsigned long long>(messages() - before));
}

}  // namespace
}  // namespace weave::sim

int main(int argc, char** argv) {
  const auto names = static_cast<std::uint32_t>(argc > 1 ? std::atoi(argv[1]) : 10'000);
  for (const bool old : {true, false}) weave::sim::MeasureBytes(names, old);
  for (const std::uint32_t peers : {3u, 300u}) weave::sim::MeasureSpread(peers);
  return 0;
}
