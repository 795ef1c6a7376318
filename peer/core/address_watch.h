// Compares what is in use on this host with what the allocator has on record, regularly and when interfaces come and
// go: what nobody has on record is claimed, and what was left to its interface is released when no interface has it.
//
// Releasing is slow on purpose: two looks, kGrace apart, at everything there is, both without the address. An address
// that was given and has not been seen yet may be on its way to an interface. Looks cost little while the bridge has
// the same ports and nothing is to be found out. Part of PeerCore; see there for threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "base/log.h"
#include "base/time.h"
#include "ipam/allocator.h"
#include "peer/core/address_index.h"
#include "peer/core/address_planner.h"
#include "peer/core/peer_output.h"

namespace weave {

class AddressWatch {
 public:
  static constexpr Duration kPeriod = absl::Seconds(60);      // between looks while all is as it should be
  static constexpr Duration kRecheck = absl::Seconds(30);     // and while something is to be found out
  static constexpr Duration kSoon = absl::Seconds(2);         // from a change to the look
  static constexpr Duration kLeastPause = absl::Seconds(10);  // between looks however much changes
  static constexpr Duration kGrace = absl::Seconds(30);       // as for containers of Docker (spec/ipam.md section 7.3)
  static constexpr Duration kMakingTime = absl::Seconds(60);  // from the answer to the interface

  // `allocator` null: there is nothing to compare. References outlive the watch.
  AddressWatch(Allocator* allocator, const AddressIndex& addresses, AddressPlanner& planner, CommandIds& command_ids,
               Logger& logger);

  // When the allocator has its records. `rebooted`: they are of an earlier boot of this machine, whose containers are
  // gone.
  void Start(Now now, bool rebooted);

  // Somebody was told to have these: an interface may be in the making.
  void OnGiven(Now now, const std::vector<Cidr>& addresses);
  // Ports have changed, or Docker has disowned something.
  void LookSoon(Now now);

  // False when the command is not this component's.
  bool OnCommandDone(Now now, CommandId id, const HostResult& result);
  void OnTimer(Now now, PeerOutput& out);
  std::optional<MonotonicTime> NextDeadline() const { return look_at_; }

  // Looks no more, and makes nothing of a look under way.
  void Close();

  std::uint64_t claimed_count() const { return claimed_count_; }
  std::uint64_t released_count() const { return released_count_; }

 private:
  // Of an address that is left to its interface.
  struct Track {
    std::optional<MonotonicTime> given;  // none: during an earlier boot
    bool seen = false;                   // on an interface since then
    std::optional<MonotonicTime> missing_since;

    bool in_use() const { return seen && !missing_since.has_value(); }
  };

  bool HasDoubts() const;
  void ClaimUnknown(Now now, const AddressSurvey& survey);
  void ReleaseUnused(Now now, const AddressSurvey& survey);
  // True: it can be released.
  bool Judge(Track& track, bool in_use, bool complete) const;

  Allocator* const allocator_;
  const AddressIndex& addresses_;
  AddressPlanner& planner_;
  CommandIds& command_ids_;
  Logger& logger_;

  absl::btree_map<IpAddress, Track> tracks_;
  absl::btree_map<IpAddress, int> disputed_;  // belong to others than those who use them: in so many looks
  std::optional<MonotonicTime> start_;        // none: rebooted
  std::optional<MonotonicTime> look_at_;
  std::optional<CommandId> in_flight_;
  MonotonicTime looked_at_;  // when the last look began
  bool changed_meanwhile_ = false;
  std::string ports_;
  bool closed_ = false;
  bool settled_ = false;  // the ports were the same in two looks at everything
  std::uint64_t claimed_count_ = 0;
  std::uint64_t released_count_ = 0;
};

}  // namespace weave
