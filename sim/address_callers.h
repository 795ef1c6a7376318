// Callers of one host that ask its allocator directly, for holders whose interfaces somebody else makes (CNI plugins,
// Docker's address driver, people). Each has one request at a time, and holders that nobody else asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "base/random.h"
#include "base/time.h"
#include "ipam/allocator_types.h"
#include "sim/checker.h"
#include "sim/event_queue.h"
#include "sim/sim_host.h"

namespace weave::sim {

struct CallerOptions {
  std::uint32_t callers = 1;                   // on each host
  std::uint32_t holders = 3;                   // of each caller
  Duration max_think_time = absl::Seconds(2);  // between two looks at what became of a request
  Duration max_patience = absl::Seconds(30);   // then the caller goes
};

class AddressCallers {
 public:
  // `range`: of the network. References outlive the callers.
  AddressCallers(CallerOptions options, Cidr range, SimHost& host, EventQueue& queue, NetworkOracle& oracle,
                 Random random);

  // Again after each Stop.
  void Start();
  // Nothing new is asked; who waits goes on waiting, without end.
  void Stop() { ++round_; }

  // Nobody holds anything on this host any more: it is lost, or about to be reset.
  void ForgetAll();
  // The peer is back, and the holders it has on record are no more: whoever made their interfaces says so.
  void ReleaseRecorded();

 private:
  struct Caller {
    std::vector<std::string> holders;
    std::vector<std::string> unknown;  // holders that are known by their address alone
    std::optional<RequestId> request;
    MonotonicTime patient_until;
  };

  void Think(Caller& caller);
  void Act(Caller& caller);
  void Ask(Caller& caller);
  void AskForAny(Caller& caller);
  void AskForOneOfNobody(Caller& caller);
  void Claim(Caller& caller);
  void Release(Caller& caller);
  RequestId Submit(IpamOperation operation, SimHost::Done done);
  // Tells the oracle when it is given.
  SimHost::Done Gives(std::string holder);
  Cidr PickSubnet();

  const CallerOptions options_;
  const Cidr range_;
  SimHost& host_;
  EventQueue& queue_;
  NetworkOracle& oracle_;
  Random random_;
  std::vector<Caller> callers_;
  bool lost_ = false;        // answers come too late
  std::uint64_t round_ = 0;  // of asking: what was scheduled in an earlier one is off
};

}  // namespace weave::sim
