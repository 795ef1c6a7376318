// What goes wrong between hosts, from the seed: connections break, stall and half break; nothing passes between two
// hosts, or between two groups of them.
#pragma once

#include <cstdint>

#include "base/random.h"
#include "sim/datagrams.h"
#include "sim/event_queue.h"
#include "sim/recurrence.h"
#include "sim/transport.h"

namespace weave::sim {

// Mean times between faults of a kind in the whole network; zero: never.
struct NetworkFaultOptions {
  Duration reset = absl::ZeroDuration();
  Duration half_open = absl::ZeroDuration();  // only one end learns that a connection is gone
  Duration stall = absl::ZeroDuration();      // one end of a connection sends nothing for a while
  Duration cut = absl::ZeroDuration();        // between two hosts, in one direction or both
  Duration partition = absl::ZeroDuration();  // between two groups of hosts
  Duration tunnel = absl::ZeroDuration();     // as cut, but for the kernels' tunnels alone
  Duration path = absl::ZeroDuration();       // what the path between two hosts carries is something else
  Duration max_spell = absl::Minutes(2);      // how long a fault lasts
};

class NetworkFaults {
 public:
  // References outlive the faults.
  NetworkFaults(const NetworkFaultOptions& options, std::uint32_t hosts, Transport& transport, Datagrams& datagrams,
                EventQueue& queue, const Random& random)
      : options_(options),
        hosts_(hosts),
        transport_(transport),
        datagrams_(datagrams),
        queue_(queue),
        random_(random) {}

  // Again after each Heal.
  void Start();
  // No new fault; everything that is sent arrives.
  void Heal();

 private:
  void Reset();
  void HalfOpen();
  void Stall();
  void Cut();
  void Partition();
  void CutTunnel();
  void ChangePath();
  void BlockForAWhile(HostId from, HostId to, Duration spell);
  Duration Spell();

  const NetworkFaultOptions options_;
  const std::uint32_t hosts_;
  Transport& transport_;
  Datagrams& datagrams_;
  EventQueue& queue_;
  Random random_;
  Recurrence recurrence_{queue_, random_};
};

}  // namespace weave::sim
