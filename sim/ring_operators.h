// The people of a network whose hosts share a ring: hosts burn down, are removed by those who are left, come back with
// their disk or without; peers are reset; hosts join. They keep to what docs/ipam.md asks of them:
//
//   - where others join later, one of those who have the ring is always there;
//   - a peer is removed when it is dead, and when those who live know all that it had told of its ranges;
//   - who was lost meanwhile comes back with its disk if that tells of no grant that nobody else had heard of then;
//   - who was to be removed comes back when everybody knows that it is, and callers there wait until it knows, too;
//   - a disk is erased, and a removal forced, only while the network is whole and nothing fails, and no disk is erased
//     that alone has a decision of the council.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/random.h"
#include "base/time.h"
#include "ipam/ipam_records.h"
#include "sim/address_callers.h"
#include "sim/event_queue.h"
#include "sim/fault.h"
#include "sim/guests.h"
#include "sim/operator_options.h"
#include "sim/recurrence.h"
#include "sim/sim_host.h"
#include "sim/trace.h"
#include "sim/workload.h"

namespace weave::sim {

class RingOperators {
 public:
  // A host, and who is at work on it.
  struct Host {
    SimHost* host = nullptr;
    Faults* faults = nullptr;
    Workload* workload = nullptr;
    AddressCallers* callers = nullptr;
    Guests* guests = nullptr;
  };

  // `hosts` by their ids. Pointers and references outlive the operators.
  RingOperators(OperatorOptions options, const std::vector<Host>& hosts, EventQueue& queue, Trace& trace,
                Random random);

  // Operators go to work, and callers where there is a peer. Again after each Stop.
  void Start();
  // No host goes or comes any more.
  void Stop();
  void StopCallers();

  // ---- while the network is whole and nothing fails ----

  void JoinAll();
  // Of the hosts that nobody was to remove, some come back with their disks, some are to be removed after all.
  void BringBackSome();
  // Not OK while one is being reset.
  absl::Status CheckLeft() const;
  // Those who are dead and still own something are removed by several at once. Not OK while that is not done.
  absl::Status CheckRemoved();
  // Everybody else comes back: first those who were removed, with their disk or without; then, when these have heard,
  // the `forgetful`, who were not removed and have lost it.
  void BringBackAll(bool forgetful);
  // Not OK while one that came back does not know what the others knew then.
  absl::Status CheckHeard();

  // Live by its own word and by that of the operators: what it owns is its own.
  bool Counts(HostId id) const { return seats_[id].state == State::kHere || seats_[id].state == State::kLeaving; }
  // A removal was forced a moment ago: two may own the same until they have heard of each other.
  bool Forced() const { return queue_.time() < forced_until_; }
  // Hosts whose disks were erased since the last call.
  std::vector<HostId> TakeErased() { return std::exchange(erased_, {}); }
  // Of all that came back with an empty disk.
  const absl::btree_set<PeerName>& forgetful() const { return forgetful_; }

 private:
  enum class State { kAbsent, kHere, kLeaving, kLost, kHearing };
  using Versions = absl::btree_map<IpAddress, std::uint32_t>;

  struct Seat : Host {
    explicit Seat(const Host& there) : Host(there) {}

    void StartCallers() const {
      callers->Start();
      guests->Start();
    }
    void StopCallers() const {
      callers->Stop();
      guests->Stop();
    }
    void ForgetCallers() const {
      callers->ForgetAll();
      guests->ForgetAll();
    }

    State state = State::kHere;
    MonotonicTime lost_at;
    bool to_be_removed = false;     // somebody was asked to
    bool knows_more = false;        // than those who removed somebody while it was lost
    bool erased = false;            // its disk is empty
    bool is_kept = false;           // it will be back
    Versions hears;                 // what it is to know before callers come back
    std::uint32_t asked_count = 0;  // how often its removal was asked for since everything is well
    MonotonicTime asked_at;
  };

  void Burn();
  void ResetOne();
  void AskForReset(Seat& seat);
  void JoinSome();
  void ComeBack();
  void RemoveOne();

  bool MayGo() const;
  // Null: nobody fits.
  Seat* Pick(State state, absl::FunctionRef<bool(const Seat&)> fits);
  void Lose(Seat& seat);
  void Return(Seat& seat, State state);
  void Remove(Seat& dead, bool force);

  // Null: it has no ring on disk.
  const RingRecord* RingOf(const Seat& seat) const;
  // Of the ring, and nobody else who is here has it: those who join later would agree on another.
  bool IsLastToTell(const Seat& seat) const;
  std::vector<const RingRecord*> RingsOfLiving() const;
  bool IsBuried(const Seat& dead) const;
  bool KnowsMore(const Seat& seat) const;
  bool MayForget(const Seat& seat) const;
  bool SomebodySaysItOwns(PeerName peer) const;
  Versions Known() const;

  const OperatorOptions options_;
  EventQueue& queue_;
  Trace& trace_;
  Random random_;
  std::vector<Seat> seats_;
  std::vector<HostId> erased_;
  absl::btree_set<PeerName> forgetful_;
  MonotonicTime forced_until_;
  Recurrence recurrence_{queue_, random_, Recurrence::Kind::kBackground};
};

}  // namespace weave::sim
