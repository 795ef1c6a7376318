// Brings the bridge's addresses and the packet filter to the desired state: one command in flight, whatever is asked
// meanwhile merges into the next. A failed command is tried again with back-off. Part of PeerCore; see there for
// threads.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "base/log.h"
#include "base/time.h"
#include "peer/core/address_index.h"
#include "peer/core/peer_output.h"

namespace weave {

class HostSync {
 public:
  // `ports` is asked for whenever a command is made. Everything passed by reference outlives this.
  HostSync(AddressIndex& addresses, CommandIds& command_ids, std::function<std::vector<std::string>()> ports,
           Logger& logger);

  // At start: what is on the bridge is in use, whatever else was promised.
  void Hold(const std::vector<Cidr>& bridge_addresses);

  // At start, after Hold: exposures on record, and addresses found on the bridge, which count as exposed
  // (spec/overlay.md section 7).
  void Restore(const std::vector<ExposureRecord>& records, const std::vector<Cidr>& bridge_addresses, PeerOutput& out);

  // Asks for a sync with nothing changed: at start and when the bridge was lost.
  void Refresh(PeerOutput& out);

  // `addresses`: at least one.
  void OnExpose(RequestId id, const std::vector<Cidr>& addresses, bool masquerade, PeerOutput& out);
  // `addresses` empty: all of them.
  void OnHide(RequestId id, const std::vector<Cidr>& addresses, PeerOutput& out);

  // False when the command is not this component's.
  bool OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out);

  // The command was never performed. False when it is not this component's.
  bool OnCommandDropped(CommandId id, PeerOutput& out);

  // Exposures whose records could not be written go back to what they were; their callers are answered.
  void OnPersistFailed(const std::vector<RequestId>& requests, const absl::Status& status, PeerOutput& out);

  void OnTimer(Now now, PeerOutput& out);
  std::optional<MonotonicTime> NextDeadline() const { return retry_at_; }

  // Stops starting commands; what is in flight goes on. Callers that wait are refused with `status`.
  void Close(const absl::Status& status, PeerOutput& out);

  bool idle() const { return !in_flight_.has_value(); }

  // True once a command succeeded. False with an error: what keeps the first from succeeding.
  bool synced() const { return synced_; }
  const absl::Status& last_error() const { return last_error_; }

  std::vector<ExposureRecord> List() const;

 private:
  // An expose or hide that has not been answered.
  struct Waiter {
    RequestId request;
    std::uint64_t generation;                                           // answered by a command at least this new
    absl::btree_map<IpAddress, std::optional<ExposureRecord>> changes;  // nullopt: hidden
    std::vector<Cidr> answer;
  };

  struct InFlight {
    CommandId id;
    std::uint64_t generation;
    std::vector<Cidr> retired;
  };

  using Exposures = absl::btree_map<IpAddress, ExposureRecord>;

  void Start(PeerOutput& out);
  void Accept(Waiter waiter, PeerOutput& out);
  void Settle(const Waiter& waiter);
  void Undo(const std::vector<Waiter>& failed, PeerOutput& out);
  void AnswerDue(std::uint64_t generation, const absl::Status& status, PeerOutput& out);
  void SetDesired(const IpAddress& address, const std::optional<ExposureRecord>& exposure);
  void ReleaseRetired(const std::vector<Cidr>& retired);
  bool Wanted(const IpAddress& address) const;
  bool Retiring(const IpAddress& address) const;

  AddressIndex& addresses_;
  CommandIds& command_ids_;
  const std::function<std::vector<std::string>()> ports_;
  Logger& logger_;

  // What is wanted is what is settled, changed by the waiters in their order. A request that fails drops out, and what
  // is wanted is made anew: later requests for the same address keep their say.
  Exposures settled_;
  std::vector<Waiter> waiters_;
  Exposures desired_;
  absl::btree_set<Cidr> retired_;  // may be on the bridge and must come off; its address is held until it has
  std::uint64_t generation_ = 0;   // of the desired state
  std::uint64_t applied_ = 0;      // of the last command that succeeded
  std::optional<InFlight> in_flight_;
  Duration backoff_ = absl::ZeroDuration();
  std::optional<MonotonicTime> retry_at_;
  bool closed_ = false;
  bool synced_ = false;
  absl::Status last_error_;
};

}  // namespace weave
