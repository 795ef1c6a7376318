#include "sim/options.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/random.h"

namespace weave::sim {
namespace {

void AddContainerFaults(Random& random, Options& options) {
  options.faults.container_restart = Draw(random, absl::Milliseconds(100), absl::Seconds(5));
  options.workload.cancel_permille = static_cast<std::uint32_t>(random.Below(200));
}

void AddHostFaults(Random& random, Options& options) {
  options.host.model.failure_permille = static_cast<std::uint32_t>(random.Below(150));
  options.faults.failing_host = Draw(random, absl::Seconds(1), absl::Seconds(20));
  options.faults.bridge_deleted = Draw(random, absl::Seconds(1), absl::Seconds(20));
}

void AddCrashes(Random& random, Options& options) {
  options.faults.crash = Draw(random, absl::Milliseconds(300), absl::Seconds(10));
  options.faults.reboot_permille = static_cast<std::uint32_t>(random.Below(300));
}

void AddDiskFaults(Random& random, Options& options) {
  options.host.disk.error_permille = static_cast<std::uint32_t>(random.Below(150));
  options.faults.disk_full = Draw(random, absl::Seconds(1), absl::Seconds(15));
}

void DrawMesh(Random& random, Options& options) {
  options.peers = static_cast<std::uint32_t>(random.Between(3, 12));
  options.duration = Draw(random, absl::Minutes(1), absl::Minutes(8));
  options.workload.callers = 1;
  options.workload.max_think_time = absl::Seconds(10);
  options.link_permille = static_cast<std::uint32_t>(random.Below(400));
  options.datagrams.loss_permille = static_cast<std::uint32_t>(random.Below(2) * random.Below(200));
  MeshConfig& mesh = options.host.mesh;
  mesh.discovery = random.Chance(1, 2);
  if (random.Chance(1, 2)) mesh.password = "simulated";
  if (random.Chance(1, 6)) mesh.versions = {1, 1};
  NetworkFaultOptions& faults = options.network_faults;
  const auto drawn = [&random] {
    return random.Chance(1, 3) ? absl::ZeroDuration() : Draw(random, absl::Seconds(1), absl::Minutes(1));
  };
  faults.reset = drawn();
  faults.half_open = drawn();
  faults.stall = drawn();
  faults.cut = drawn();
  faults.partition = drawn();
  if (random.Chance(2, 3)) options.faults.crash = Draw(random, absl::Seconds(10), absl::Minutes(5));
  options.faults.max_spell = absl::Minutes(2);
}

// Peers of either kind, on clocks that differ by what the wire allows.
void DrawNames(Random& random, Options& options) {
  NameOptions names;
  names.containers = static_cast<std::uint32_t>(random.Between(1, 4));
  names.fixed = static_cast<std::uint32_t>(random.Below(5));
  names.hostnames = static_cast<std::uint32_t>(random.Between(1, 8));
  names.max_think_time = Draw(random, absl::Milliseconds(200), absl::Seconds(10));
  options.names = names;
  options.host.dns_domain = "weave.local.";
  if (random.Chance(1, 2)) options.host.max_clock_skew = (kMaxClockSkew - absl::Seconds(2)) / 2;
  if (random.Chance(1, 2)) options.host.old_permille = static_cast<std::uint32_t>(random.Below(1000));
}

void DrawFrames(Random& random, Options& options) {
  options.peers = static_cast<std::uint32_t>(random.Between(2, 7));
  options.duration = Draw(random, absl::Seconds(30), absl::Minutes(4));
  options.host.mesh.versions = MeshConfig().versions;  // those before know no datapath
  FrameOptions frames;
  frames.stations = static_cast<std::uint32_t>(random.Between(2, 3 * options.peers));
  frames.max_think_time = Draw(random, absl::Milliseconds(20), absl::Seconds(2));
  frames.churn_permille = static_cast<std::uint32_t>(random.Below(400));
  frames.silent_permille = static_cast<std::uint32_t>(random.Below(2) * random.Below(1000));
  options.frames = frames;
  FastPathOptions fast_path;
  fast_path.missing_permille = static_cast<std::uint32_t>(random.Below(2) * random.Below(600));
  fast_path.direct_permille = static_cast<std::uint32_t>(random.Below(1000));
  fast_path.old_kernel_permille = static_cast<std::uint32_t>(random.Below(2) * random.Below(1000));
  fast_path.search_mtu = random.Chance(1, 2);
  options.host.fast_path = fast_path;
  options.host.check_invariants = random.Chance(1, 4);
  if (random.Chance(2, 3)) options.network_faults.tunnel = Draw(random, absl::Seconds(2), absl::Minutes(1));
}

// Drawn apart from the rest, as guests are.
void DrawKernelFaults(Random random, Options& options) {
  if (random.Chance(1, 3)) return;
  const auto drawn = [&random](Duration max) {
    return random.Chance(1, 2) ? absl::ZeroDuration() : Draw(random, absl::Seconds(5), max);
  };
  KernelFaultOptions& kernel = options.kernel_faults;
  kernel.datapath_deleted = drawn(absl::Minutes(2));
  kernel.port_deleted = drawn(absl::Minutes(1));
  kernel.refusal = drawn(absl::Minutes(1));
  kernel.port_taken = drawn(absl::Minutes(2));
  kernel.foreign_flows = drawn(absl::Minutes(2));
  options.faults.reboot_permille = static_cast<std::uint32_t>(random.Below(600));
  if (random.Chance(1, 3)) return;
  constexpr std::size_t kLinkMtus[] = {1500, 1500, 4000, 9000};
  options.datagrams.path_mtu_bytes = kLinkMtus[random.Below(std::size(kLinkMtus))];
  options.network_faults.path = drawn(absl::Seconds(40));
  options.frames->packet_permille = static_cast<std::uint32_t>(random.Between(50, 600));
  if (random.Chance(1, 2)) options.frames->quiet = Draw(random, absl::Seconds(5), absl::Seconds(30));
  options.duration += options.frames->quiet;
}

void DrawIpam(Random& random, Options& options) {
  IpamOptions ipam;
  // Room for all containers, also for those that ended half a minute ago.
  ipam.range = Cidr(IpAddress::V4(0x0a20'0000), static_cast<int>(random.Between(22, 24)));
  ipam.seeded = random.Chance(1, 3);
  options.ipam = ipam;
}

void DrawRing(Random& random, Options& options) {
  DrawMesh(random, options);
  options.peers = static_cast<std::uint32_t>(random.Between(5, random.Between(5, 8)));
  options.duration = Draw(random, absl::Seconds(15), absl::Seconds(50));
  options.host.check_invariants = random.Chance(1, 4);
  if (random.Chance(3, 4)) options.host.mesh.password.reset();
  if (options.faults.crash != absl::ZeroDuration())
    options.faults.crash = Draw(random, absl::Seconds(8), absl::Minutes(2));
  options.faults.max_spell = Draw(random, absl::Seconds(1), absl::Seconds(15));
  options.network_faults.max_spell = Draw(random, absl::Seconds(2), absl::Seconds(15));
  options.transport.give_up_after = Draw(random, absl::Seconds(3), absl::Seconds(10));
  if (random.Chance(1, 2)) AddDiskFaults(random, options);
  if (random.Chance(1, 2)) options.faults.container_restart = Draw(random, absl::Seconds(5), absl::Minutes(1));
  options.workload.callers = static_cast<std::uint32_t>(random.Below(2));
  options.workload.containers = static_cast<std::uint32_t>(random.Between(1, 2));
  // A bridge keeps its addresses when the machine starts again, also those of a peer that was removed meanwhile.
  options.workload.expose_weight = options.workload.hide_weight = 0;

  const auto prefix = static_cast<int>(random.Chance(3, 4) ? random.Between(26, 29) : random.Between(20, 25));
  options.ipam = IpamOptions{Cidr(IpAddress::V4(0x0a20'0000), prefix)};
  RingOptions ring;
  ring.everybody_dials = random.Chance(1, 8);
  if (prefix < 29 && random.Chance(1, 4)) ring.default_subnet = Cidr(IpAddress::V4(0x0a20'0000), prefix + 1);
  options.ipam->seeded = random.Chance(1, 4);
  ring.founders = random.Chance(1, 2) ? options.peers : static_cast<std::uint32_t>(random.Between(2, options.peers));
  ring.guess_quorum = random.Chance(1, 2);
  ring.rounds = random.Chance(1, 5) ? 2 : 1;
  ring.callers.callers = static_cast<std::uint32_t>(random.Between(1, 3));
  ring.callers.holders = static_cast<std::uint32_t>(random.Between(1, 6));
  ring.callers.max_think_time = Draw(random, absl::Milliseconds(300), absl::Seconds(5));
  const auto drawn = [&random](Duration max) {
    return random.Chance(1, 4) ? absl::ZeroDuration() : Draw(random, absl::Seconds(3), max);
  };
  ring.operators.late = static_cast<std::uint32_t>(random.Below(3));
  ring.operators.max_absent = static_cast<std::uint32_t>(random.Between(ring.operators.late, 3));
  ring.operators.burn = drawn(absl::Seconds(15));
  ring.operators.reset = drawn(absl::Seconds(40));
  ring.operators.join = drawn(absl::Seconds(20));
  ring.operators.come_back = drawn(absl::Seconds(40));
  ring.operators.remove = Draw(random, absl::Milliseconds(500), absl::Seconds(5));
  ring.operators.burial = options.network_faults.max_spell + options.transport.give_up_after + absl::Seconds(2);
  options.ring = ring;
}

// Drawn apart from the rest, whose seeds keep their stories.
void DrawGuests(Random random, Options& options) {
  if (random.Chance(1, 3)) return;
  GuestOptions& guests = options.guests;
  guests.guests = static_cast<std::uint32_t>(random.Between(1, 4));
  guests.max_think_time = Draw(random, absl::Seconds(1), absl::Seconds(30));
  guests.max_making_time = Draw(random, absl::Milliseconds(100), absl::Seconds(45));
  guests.killed_permille = static_cast<std::uint32_t>(random.Below(600));
  guests.silent_permille = static_cast<std::uint32_t>(random.Below(1000));
  // Long enough that what was left behind is found, and given to the next.
  if (options.ring.has_value() && random.Chance(1, 2))
    options.duration += Draw(random, absl::Minutes(1), absl::Minutes(3));
}

// Odd but legal sizes and speeds.
void DrawSizes(Random& random, Options& options) {
  options.workload.callers = static_cast<std::uint32_t>(random.Between(1, 8));
  options.workload.containers = static_cast<std::uint32_t>(random.Between(1, 8));
  options.workload.addresses = static_cast<std::uint32_t>(random.Between(1, 16));
  options.workload.max_think_time = Draw(random, absl::Milliseconds(1), absl::Milliseconds(300));
  options.workload.nonsense_weight = static_cast<std::uint32_t>(random.Below(2));
  options.host.disk.max_latency = Draw(random, absl::Milliseconds(1), absl::Milliseconds(60));
  options.host.model.max_latency = Draw(random, absl::Milliseconds(1), absl::Milliseconds(80));
  options.host.model.max_notice_latency = Draw(random, absl::Milliseconds(1), absl::Milliseconds(200));
}

}  // namespace

const std::vector<std::string>& ProfileNames() {
  static const std::vector<std::string> kNames = {"calm", "faults", "crashes", "disk",  "swarm",
                                                  "mesh", "names",  "ring",    "frames"};
  return kNames;
}

absl::StatusOr<Options> DrawOptions(absl::string_view profile, std::uint64_t seed) {
  const std::vector<std::string>& names = ProfileNames();
  if (std::find(names.begin(), names.end(), profile) == names.end())
    return absl::InvalidArgumentError(
        absl::StrCat("unknown profile \"", profile, "\": want one of ", absl::StrJoin(names, ", ")));
  Options options;
  options.seed = seed;
  options.profile = std::string(profile);
  Random random = Random(seed).Split("options");
  DrawSizes(random, options);
  const bool swarm = profile == "swarm";
  const auto drawn = [&](absl::string_view name) { return profile == name || (swarm && random.Chance(1, 2)); };
  if (drawn("faults")) {
    AddContainerFaults(random, options);
    AddHostFaults(random, options);
  } else if (swarm && random.Chance(1, 2)) {
    AddContainerFaults(random, options);
  }
  if (drawn("crashes")) AddCrashes(random, options);
  if (drawn("disk")) AddDiskFaults(random, options);
  if (swarm && random.Chance(1, 4)) options.workload.reset_weight = 1;
  if (profile == "mesh" || profile == "names" || profile == "frames") DrawMesh(random, options);
  if (profile == "names") DrawNames(random, options);
  if (profile == "ring") DrawRing(random, options);
  if (profile == "frames") DrawFrames(random, options);
  if ((profile == "mesh" && random.Chance(3, 4)) || (swarm && random.Chance(1, 2))) DrawIpam(random, options);
  if (profile == "frames") DrawKernelFaults(Random(seed).Split("kernels"), options);
  if (options.ipam.has_value()) DrawGuests(Random(seed).Split("guests"), options);
  return options;
}

}  // namespace weave::sim
