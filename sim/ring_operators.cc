#include "sim/ring_operators.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weave::sim {
namespace {

// A takeover is decided or given up by then, and told.
const Duration kRemovalTime = Allocator::kTakeoverTime + absl::Seconds(2);

// How often the council is asked before somebody insists.
constexpr std::uint32_t kPatience = 2;

}  // namespace

RingOperators::RingOperators(OperatorOptions options, const std::vector<Host>& hosts, EventQueue& queue, Trace& trace,
                             Random random)
    : options_(options), queue_(queue), trace_(trace), random_(random) {
  for (const Host& host : hosts) seats_.emplace_back(host);
  const std::size_t late = std::min<std::size_t>(options_.late, seats_.size() - 1);
  for (std::size_t i = seats_.size() - late; i < seats_.size(); ++i) {
    seats_[i].state = State::kAbsent;
    seats_[i].faults->Lose();
  }
}

// ---- while everything fails ----

void RingOperators::Start() {
  recurrence_.NewRound();
  recurrence_.Repeat(options_.burn, *this, &RingOperators::Burn);
  recurrence_.Repeat(options_.reset, *this, &RingOperators::ResetOne);
  recurrence_.Repeat(options_.join, *this, &RingOperators::JoinSome);
  recurrence_.Repeat(options_.come_back, *this, &RingOperators::ComeBack);
  recurrence_.Repeat(options_.remove, *this, &RingOperators::RemoveOne);
  for (Seat& seat : seats_)
    if (seat.state == State::kHere) seat.StartCallers();
}

void RingOperators::Stop() { recurrence_.NewRound(); }

void RingOperators::StopCallers() {
  for (Seat& seat : seats_) seat.StopCallers();
}

bool RingOperators::MayGo() const {
  return std::count_if(seats_.begin(), seats_.end(), [](const Seat& seat) { return seat.state != State::kHere; }) <
         options_.max_absent;
}

RingOperators::Seat* RingOperators::Pick(State state, absl::FunctionRef<bool(const Seat&)> fits) {
  std::vector<Seat*> found;
  for (Seat& seat : seats_)
    if (seat.state == state && fits(seat)) found.push_back(&seat);
  return found.empty() ? nullptr : found[random_.Below(found.size())];
}

void RingOperators::Burn() {
  Seat* seat = MayGo() ? Pick(State::kHere, [&](const Seat& s) { return !IsLastToTell(s); }) : nullptr;
  if (seat == nullptr) return;
  trace_.Note(seat->host->id(), "burns down");
  Lose(*seat);
}

void RingOperators::Lose(Seat& seat) {
  seat.faults->Lose();
  seat.StopCallers();
  seat.host->Reboot();
  seat.ForgetCallers();
  seat.state = State::kLost;
  seat.lost_at = queue_.time();
}

void RingOperators::Return(Seat& seat, State state) {
  seat.state = state;
  seat.to_be_removed = seat.knows_more = false;
  seat.faults->Return();
  seat.host->Start();
  seat.workload->StartContainers();
  if (state == State::kHere) seat.StartCallers();
}

// While its neighbours borrow from it, and it from them. It has told somebody of its ring: an elector that forgets a
// promise could vote twice.
void RingOperators::ResetOne() {
  Seat* seat = MayGo() ? Pick(State::kHere,
                              [&](const Seat& s) { return s.host->up() && RingOf(s) != nullptr && !IsLastToTell(s); })
                       : nullptr;
  if (seat == nullptr) return;
  seat->faults->Lose();  // a crash would end the reset, and perhaps bring back a peer whose disk is empty
  seat->StopCallers();
  seat->ForgetCallers();
  seat->state = State::kLeaving;
  AskForReset(*seat);
}

void RingOperators::AskForReset(Seat& seat) {
  seat.host->Submit(ResetRequest{}, [this, &seat](const Reply& reply) {
    const bool done = reply.status.ok();
    queue_.After(done ? absl::ZeroDuration() : absl::Seconds(1), [this, &seat, done] {
      if (!done) return AskForReset(seat);
      seat.host->CheckClean();
      Lose(seat);
      seat.to_be_removed = seat.erased = true;
      erased_.push_back(seat.host->id());
    });
  });
}

// One, or all at the same time.
void RingOperators::JoinSome() {
  if (random_.Chance(1, 2)) return JoinAll();
  if (Seat* seat = Pick(State::kAbsent, [](const Seat&) { return true; })) Return(*seat, State::kHere);
}

void RingOperators::ComeBack() {
  if (Seat* seat = Pick(State::kLost, [&](const Seat& s) { return !s.to_be_removed && !s.knows_more; }))
    Return(*seat, State::kHere);
}

void RingOperators::RemoveOne() {
  Seat* seat = Pick(State::kLost,
                    [&](const Seat& s) { return IsBuried(s) && SomebodySaysItOwns(SimHost::NameOf(s.host->id())); });
  if (seat != nullptr) Remove(*seat, options_.always_force);
}

// On one peer or on several at once, whichever the operators can get at.
void RingOperators::Remove(Seat& dead, bool force) {
  const std::string name = SimHost::NameOf(dead.host->id()).ToString();
  std::vector<Seat*> there;
  for (Seat& seat : seats_)
    if (seat.state == State::kHere && seat.host->up()) there.push_back(&seat);
  const std::size_t first = there.empty() ? 0 : random_.Below(there.size());
  for (std::size_t i = 0; i < there.size(); ++i) {
    if (i != first && random_.Chance(1, 2)) continue;
    dead.to_be_removed = true;
    for (Seat& seat : seats_) seat.knows_more = seat.knows_more || (seat.state == State::kLost && KnowsMore(seat));
    trace_.Note(there[i]->host->id(), "removes", name, force);
    there[i]->host->Submit(IpamRequest{TakeOverOperation{name, force}}, [](const Reply&) {});
  }
}

// ---- while the network is whole ----

void RingOperators::JoinAll() {
  while (Seat* seat = Pick(State::kAbsent, [](const Seat&) { return true; })) Return(*seat, State::kHere);
}

void RingOperators::BringBackSome() {
  for (Seat& seat : seats_) {
    seat.asked_count = 0;
    if (seat.state != State::kLost || seat.to_be_removed) continue;
    if (random_.Chance(1, 3) && !seat.knows_more) Return(seat, State::kHere);
    seat.is_kept = seat.state == State::kLost && random_.Chance(1, 2);
  }
}

absl::Status RingOperators::CheckLeft() const {
  for (const Seat& seat : seats_)
    if (seat.state == State::kLeaving)
      return absl::InternalError(absl::StrCat("host ", seat.host->id(), " is being reset and does not come to an end"));
  return absl::OkStatus();
}

absl::Status RingOperators::CheckRemoved() {
  absl::Status status;
  const auto remains = [&](const Seat& seat, absl::string_view why) {
    status = absl::InternalError(absl::StrCat("host ", seat.host->id(), " ", why));
  };
  bool somebody_owns = false;
  for (const Seat& seat : seats_) {
    if (seat.state != State::kLost || !SomebodySaysItOwns(SimHost::NameOf(seat.host->id()))) continue;
    if (!IsBuried(seat))
      remains(seat, "is dead, and the living do not agree on what it owned");
    else if (!seat.is_kept)
      remains(seat, "is dead and not removed");
    somebody_owns = somebody_owns || !seat.is_kept;
  }
  if (!somebody_owns) return status;
  // Also those who own nothing: they may have been promised something.
  for (Seat& seat : seats_) {
    if (seat.state != State::kLost || seat.is_kept || !IsBuried(seat)) continue;
    if (seat.asked_count > 0 && queue_.time() < seat.asked_at + kRemovalTime) continue;
    const bool force = seat.asked_count++ >= kPatience;
    if (force) forced_until_ = queue_.time() + Allocator::kTakeoverRest + absl::Seconds(1);
    seat.asked_at = queue_.time();
    Remove(seat, force);
  }
  return status;
}

void RingOperators::BringBackAll(bool forgetful) {
  const Versions known = Known();
  const bool all_have_rings = !known.empty() && std::all_of(seats_.begin(), seats_.end(), [&](const Seat& seat) {
    return seat.state != State::kHere || RingOf(seat) != nullptr;
  });
  for (Seat& seat : seats_) {
    if (seat.state != State::kLost || seat.is_kept != forgetful) continue;
    seat.hears = known;
    if (all_have_rings && !seat.erased && (seat.is_kept || seat.knows_more || random_.Chance(1, 2)) &&
        MayForget(seat)) {
      trace_.Note(seat.host->id(), "comes back with an empty disk");
      seat.host->disk().Wipe();
      forgetful_.insert(SimHost::NameOf(seat.host->id()));
      erased_.push_back(seat.host->id());
    }
    seat.erased = seat.is_kept = false;
    Return(seat, State::kHearing);
    seat.callers->ReleaseRecorded();
  }
}

absl::Status RingOperators::CheckHeard() {
  absl::Status status;
  for (Seat& seat : seats_) {
    if (seat.state != State::kHearing) continue;
    Versions lacks = seat.hears;
    if (const RingRecord* ring = RingOf(seat))
      for (const RingEntry& entry : ring->entries)
        if (const auto at = lacks.find(entry.token); at != lacks.end() && at->second <= entry.version) lacks.erase(at);
    if (lacks.empty()) {
      seat.state = State::kHere;
      seat.StartCallers();
    } else {
      status = absl::InternalError(absl::StrCat("host ", seat.host->id(), " is back and does not hear who owns ",
                                                lacks.begin()->first.ToString()));
    }
  }
  return status;
}

// ---- what is known ----

const RingRecord* RingOperators::RingOf(const Seat& seat) const {
  const auto row = seat.host->disk().durable().find(RingKey());
  return row == seat.host->disk().durable().end() ? nullptr : &std::get<RingRecord>(row->second);
}

bool RingOperators::IsLastToTell(const Seat& seat) const {
  if (options_.late == 0 || RingOf(seat) == nullptr) return false;
  return std::none_of(seats_.begin(), seats_.end(), [&](const Seat& other) {
    return &other != &seat && other.state == State::kHere && RingOf(other) != nullptr;
  });
}

std::vector<const RingRecord*> RingOperators::RingsOfLiving() const {
  std::vector<const RingRecord*> rings;
  for (const Seat& seat : seats_)
    if (Counts(seat.host->id()))
      if (const RingRecord* ring = RingOf(seat)) rings.push_back(ring);
  return rings;
}

// What it had sent has arrived or is lost, and all who live have the same on disk of all that is said to be its own: a
// part that it gave away would be another version somewhere.
bool RingOperators::IsBuried(const Seat& dead) const {
  if (queue_.time() < dead.lost_at + options_.burial) return false;
  const PeerName name = SimHost::NameOf(dead.host->id());
  const std::vector<const RingRecord*> rings = RingsOfLiving();
  for (const RingRecord* ring : rings) {
    for (const RingEntry& entry : ring->entries) {
      if (entry.peer != name) continue;
      for (const RingRecord* other : rings)
        if (std::none_of(other->entries.begin(), other->entries.end(), [&](const RingEntry& e) {
              return e.token == entry.token && e.peer == name && e.version == entry.version;
            }))
          return false;
    }
  }
  return true;
}

// Its disk has a grant that nobody who lives has heard of. Told before a removal: afterwards the ranges of the removed
// one have versions and tokens that look as if they were later.
bool RingOperators::KnowsMore(const Seat& seat) const {
  const RingRecord* own = RingOf(seat);
  if (own == nullptr) return false;
  const Versions known = Known();
  return std::any_of(own->entries.begin(), own->entries.end(), [&](const RingEntry& entry) {
    const auto there = known.find(entry.token);
    return there == known.end() || there->second < entry.version;
  });
}

// All who live know what the council had decided as far as it knew: a member that forgets a decision could make another
// of the same number.
bool RingOperators::MayForget(const Seat& seat) const {
  const RingRecord* own = RingOf(seat);
  if (own == nullptr || !own->council.has_value()) return true;
  const std::vector<const RingRecord*> rings = RingsOfLiving();
  return std::all_of(rings.begin(), rings.end(), [&](const RingRecord* ring) {
    return ring->council.has_value() && own->council->state.id <= ring->council->state.id;
  });
}

bool RingOperators::SomebodySaysItOwns(PeerName peer) const {
  const std::vector<const RingRecord*> rings = RingsOfLiving();
  return std::any_of(rings.begin(), rings.end(), [&](const RingRecord* ring) {
    return std::any_of(ring->entries.begin(), ring->entries.end(),
                       [&](const RingEntry& entry) { return entry.peer == peer; });
  });
}

RingOperators::Versions RingOperators::Known() const {
  Versions known;
  for (const RingRecord* ring : RingsOfLiving())
    for (const RingEntry& entry : ring->entries) {
      std::uint32_t& version = known[entry.token];
      version = std::max(version, entry.version);
    }
  return known;
}

}  // namespace weave::sim
