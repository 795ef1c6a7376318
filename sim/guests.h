// Containers of one host whose interfaces somebody else makes, as CNI plugins do: an address is asked for, some time
// later there is an interface with it, and at last both are taken away. But the plugin may be killed at any moment, and
// a container may vanish without a word to the peer, which has to notice by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ip.h"
#include "base/random.h"
#include "base/time.h"
#include "sim/checker.h"
#include "sim/event_queue.h"
#include "sim/sim_host.h"

namespace weave::sim {

struct GuestOptions {
  std::uint32_t guests = 0;                      // on each host, alive or not
  Duration max_think_time = absl::Seconds(10);   // between two steps of one
  Duration max_making_time = absl::Seconds(45);  // from the address to the interface
  std::uint32_t killed_permille = 200;           // plugins, between the two
  std::uint32_t silent_permille = 500;           // containers that nobody tells of when they end
  Duration free_within = absl::Minutes(5);       // of rest: what nobody holds is free again
};

class Guests {
 public:
  // `range`: of the network. References outlive the guests.
  Guests(GuestOptions options, Cidr range, SimHost& host, EventQueue& queue, NetworkOracle& oracle, Random random);

  // Again after each Stop.
  void Start();
  // None comes or goes any more; what is in the making is made.
  void Stop() { ++round_; }
  // The host is lost, or about to be reset: what is in the making never will be.
  void ForgetAll();

  // Not OK: one that is there is not on record, or somebody is who is not there.
  absl::Status CheckRecords() const;

 private:
  enum class State { kAbsent, kAsking, kMaking, kHere };

  struct Guest {
    State state = State::kAbsent;
    std::uint64_t life = 0;  // told apart from those that the guest had before
    std::string holder = {};
    std::uint64_t netns_inode = 0;
    LifeId sandbox = 0;
    std::optional<RequestId> request = {};
    Cidr address = {};
  };

  void Think(Guest& guest);
  void Act(Guest& guest);
  void Ask(Guest& guest);
  void OnGiven(Guest& guest, const Cidr& address);
  void MakeInterface(Guest& guest);
  void Leave(Guest& guest);
  // Its container ends, and whoever was at work for it.
  void End(Guest& guest);
  bool Holds(const Guest& guest) const;

  const GuestOptions options_;
  const Cidr range_;
  SimHost& host_;
  EventQueue& queue_;
  NetworkOracle& oracle_;
  Random random_;
  std::vector<Guest> guests_;
  std::uint64_t lives_ = 0;
  std::uint64_t round_ = 0;  // of coming and going: what was scheduled in an earlier one is off
};

}  // namespace weave::sim
