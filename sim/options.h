// What a simulation is made of: sizes, latencies, workloads and faults, drawn from the seed within a named profile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "sim/address_callers.h"
#include "sim/frame_workload.h"
#include "sim/guests.h"
#include "sim/kernel_fault.h"
#include "sim/name_workload.h"
#include "sim/network_fault.h"
#include "sim/operator_options.h"
#include "sim/sim_host.h"

namespace weave::sim {

struct WorkloadOptions {
  std::uint32_t callers = 0;     // on each host, each with one request at a time
  std::uint32_t containers = 4;  // on each host, alive or not
  std::uint32_t addresses = 10;  // that callers fight for
  Duration max_think_time = absl::Milliseconds(100);
  std::uint32_t cancel_permille = 0;
  // Relative weights of what a caller asks.
  std::uint32_t attach_weight = 8;
  std::uint32_t detach_weight = 5;
  std::uint32_t expose_weight = 2;
  std::uint32_t hide_weight = 2;
  std::uint32_t reset_weight = 0;
  std::uint32_t nonsense_weight = 0;  // requests that must be refused
};

// Mean times between faults of a kind on each host; zero: never.
struct FaultOptions {
  Duration container_restart = absl::ZeroDuration();
  Duration crash = absl::ZeroDuration();
  std::uint32_t reboot_permille = 0;  // of crashes
  Duration disk_full = absl::ZeroDuration();
  Duration bridge_deleted = absl::ZeroDuration();
  Duration failing_host = absl::ZeroDuration();  // a spell in which many commands fail
  Duration max_spell = absl::Seconds(3);         // how long a fault lasts
};

// What hosts allocate addresses from: together, if there is a network, else each for itself.
struct IpamOptions {
  Cidr range;
  bool seeded = false;  // the first owners are given; else they are agreed on
};

// A network whose hosts share a small ring, and what happens to it. Needs IpamOptions, whose `seeded` tells how the
// ring comes to be.
struct RingOptions {
  std::uint32_t founders = 1;          // the first hosts: who owns it at first, or elects; other electors observe
  bool guess_quorum = false;           // of electors, if all hosts are founders and dial each other
  std::optional<Cidr> default_subnet;  // none: the range
  bool everybody_dials = false;        // else each two others, so that those who are left are connected
  std::uint32_t rounds = 1;            // of faults, and a calm
  Duration remove_within = absl::Minutes(5);  // of a calm's beginning: who is dead is removed
  Duration serve_within = absl::Minutes(3);   // of everybody being there: who waits is served
  Duration settle_within = absl::Minutes(8);  // of the last change: all know the same
  CallerOptions callers;
  OperatorOptions operators;
};

struct Options {
  std::uint64_t seed = 1;
  std::uint32_t peers = 1;
  std::string profile = "directed";          // nothing happens by itself
  Duration duration = absl::Seconds(30);     // of the first phase, with faults
  Duration rest_within = absl::Minutes(10);  // of healing, before everything must be at rest
  TransportOptions transport;
  DatagramOptions datagrams;
  SimHostOptions host;
  WorkloadOptions workload;
  GuestOptions guests;
  FaultOptions faults;
  NetworkFaultOptions network_faults;
  KernelFaultOptions kernel_faults;  // where containers send frames

  std::optional<IpamOptions> ipam;     // none: no allocators
  std::optional<NameOptions> names;    // none: nobody gives any
  std::optional<RingOptions> ring;     // none: the allocators' callers are the containers
  std::optional<FrameOptions> frames;  // none: containers send none

  // Links that hosts are told to make, besides those that connect all: per mille of all pairs. None: no network.
  std::optional<std::uint32_t> link_permille;
  Duration agree_within = absl::Minutes(15);  // of healing; targets are dialled every 9 minutes at least
  Duration name_within = absl::Minutes(2);    // of agreement: neighbours compare every half minute
};

// calm: no faults. faults: failing commands and containers that come and go. crashes: crash, restart, reboot. disk:
// full and failing disks. swarm: each fault on or off by the seed. mesh: several hosts in one network whose links and
// peers fail. names: the same, and their containers have names. ring: 5 to 8 hosts share a range, most a small one;
// hosts are lost, removed, reset, join and come back. frames: as mesh, and the hosts' containers, which come, go and
// move, send frames to each other, by the kernel where it can; machines start again, others change the kernels' part,
// and paths what they carry.
const std::vector<std::string>& ProfileNames();

// Another profile is InvalidArgument naming those there are.
absl::StatusOr<Options> DrawOptions(absl::string_view profile, std::uint64_t seed);

}  // namespace weave::sim
