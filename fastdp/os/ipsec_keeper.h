// Performs the overlay's wishes about encrypted paths (fastdp/ipsec_command.h): associations and policies in the kernel
// by a worker, rules by the packet filter's keeper, answers on the loop.
//
// Nothing leaves or enters in clear, and no key change loses a packet, because of the order of steps:
//  - Inbound: the association, then the rules, then the answer, upon which the offer goes out. When the other end
//  begins
//    to send under the index, its packets are taken and marked; those in clear are refused already.
//  - Outbound: association and policy, and the answer only when the rules are in place too. A policy is changed in
//  place.
//    Between rules and policy marked packets have nowhere to go and are dropped; there are no flows yet.
//  - A connection's end takes nothing away at once. The two ends notice it at different times, and kernel flows may
//    still use its path: what it had rests, and goes kIpsecLinger later. While a successor with the same pair of
//    addresses is being set up it stays, and kIpsecLinger longer, since the other end moves to the successor's index
//    only when our offer has reached it. Until then packets under either index are taken.
//  - At the very end policy and association go first and the rules after them: what might still be sent is dropped, not
//    sent in clear.
//
// A start does not clear, as 2.8's does, but goes on with what it finds: that is carrying the packets of established
// flows. Associations and rules of the earlier run count as resting from the start on. The rules are in the first set
// that the packet filter gets, so there is no moment without them. When a peer connects again, the successor's rules
// are added, its policy replaces the old one in place, and the old path goes a minute later; where no peer comes back,
// everything is gone a minute after the start. Associations that nothing leads to, of a run that ended between two
// steps, go at once. So a kill -9 at any point leaves only what the next start finds and ends. `weave stop` leaves
// everything, working; `weave reset` calls RemoveAllEsp.
//
// A peer that comes back without encryption would be refused by resting rules: PassInClear ends the rest of its pair.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/log.h"
#include "fastdp/ipsec_command.h"
#include "fastdp/os/esp.h"
#include "fastdp/os/ipsec_leftovers.h"
#include "host/firewall_ipsec.h"
#include "io/event_loop.h"

namespace weave {

// Loop thread only. Destroying it waits for the kernel's answer to what was begun, and leaves everything in place;
// notices under way are dropped.
class IpsecKeeper {
 public:
  // On the loop, never from within a call of this class, never for a connection that was torn down.
  using OnNotice = absl::AnyInvocable<void(const IpsecNotice&)>;
  // FirewallKeeper::SetIpsecPaths, on the loop.
  using SetPaths = absl::AnyInvocable<void(std::vector<IpsecPath>, absl::AnyInvocable<void(absl::Status)>)>;

  // Without `esp`, for the reason it gives, nothing can be set up, and the overlay is told so each time. Takes the
  // leftovers to the packet filter at once; no rule set may be applied before that. References outlive this.
  IpsecKeeper(EventLoop& loop, absl::StatusOr<std::unique_ptr<Esp>> esp, const IpsecLeftovers& leftovers,
              SetPaths set_paths, OnNotice on_notice, Logger& logger, Duration linger = kIpsecLinger);
  IpsecKeeper(const IpsecKeeper&) = delete;
  IpsecKeeper& operator=(const IpsecKeeper&) = delete;
  ~IpsecKeeper();

  void Perform(std::vector<IpsecCommand> commands);

  // Connections with something in the kernel or on the way there, and what rests.
  std::size_t live_count() const;
  std::size_t resting_count() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
