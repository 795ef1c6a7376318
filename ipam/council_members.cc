// Council: who has a vote. The members follow the peers of our kind that share the ring, slowly: who comes applies, who
// owns nothing and stays away is dropped. An idle network says nothing about it.
#include <algorithm>
#include <utility>
#include <vector>

#include "ipam/council.h"

namespace weave {

void Council::OnTopologyChange(Now now) {
  now_ = now;
  if (!started_) return;
  if (!apply_at_.has_value()) apply_delay_ = kJoinDelay;
  Review();
}

// Who we are to the council may have changed.
void Council::Review() {
  if (state_.IsMember(self()) || state_.members.empty() || leaving_for_.has_value()) {
    apply_at_.reset();
    apply_delay_ = kJoinDelay;
  } else if (!apply_at_.has_value() && apply_delay_ <= kMaxJoinDelay) {
    apply_at_ = now_.monotonic + apply_delay_;
  }
  ReviewAbsent();
}

// The first member that is there sees to those who are not.
void Council::ReviewAbsent() {
  const auto first = std::find_if(state_.members.begin(), state_.members.end(), [&](const CouncilMember& member) {
    return member.name == self().name || peers_.IsKnown(member.name);
  });
  if (first == state_.members.end() || first->name != self().name || !state_.IsMember(self())) {
    absent_.clear();
    return;
  }
  for (const CouncilMember& member : state_.members) {
    if (member.name == self().name || peers_.IsKnown(member.name) || ring_.Owns(member.name)) {
      absent_.erase(member.name);
    } else if (absent_.emplace(member.name, now_.monotonic).second) {
      BringForward(refresh_at_, now_.monotonic + kAbsence);
    }
  }
}

void Council::On(PeerName source, const CouncilApplication& application, Way) {
  if (state_.IsMember({source, application.uid})) {
    states_to_.insert(source);  // it has not heard
    return;
  }
  if (!state_.IsMember(self()) || application.uid == 0) return;
  if (!applicants_.contains(source) && applicants_.size() >= CouncilState::kMaxMembers) return;
  applicants_[source] = application.uid;
  if (!refreshing_) BringForward(refresh_at_, now_.monotonic + kBatch);
}

// Another member each time: the first may be a 2.8 peer, which knows nothing of all this.
void Council::Apply() {
  std::vector<PeerName> reachable;
  for (const CouncilMember& member : state_.members)
    if (member.name != self().name && peers_.IsReachable(member.name)) reachable.push_back(member.name);
  if (!reachable.empty()) apply_to_ = reachable[applications_++ % reachable.size()];
  apply_at_.reset();
  apply_delay_ = apply_delay_ * 2;
  if (apply_delay_ <= kMaxJoinDelay) apply_at_ = now_.monotonic + apply_delay_;
}

void Council::Refresh() {
  refresh_at_.reset();
  const bool due = !applicants_.empty() || std::any_of(absent_.begin(), absent_.end(), [&](const auto& absent) {
    return now_.monotonic >= absent.second + kAbsence;
  });
  if (due && state_.IsMember(self())) {
    refreshing_ = true;
    refresh_until_ = now_.monotonic + kRefreshTime;
  } else {
    for (const auto& [peer, since] : absent_) BringForward(refresh_at_, since + kAbsence);
  }
}

// There is no quorum now. Applicants apply again.
void Council::GiveUpRefresh() {
  refreshing_ = false;
  refresh_until_.reset();
  applicants_.clear();
  refresh_at_ = now_.monotonic + refresh_delay_;
  refresh_delay_ = std::min(refresh_delay_ * 2, kMaxDelay);
}

void Council::OnTimer(Now now) {
  now_ = now;
  const auto due = [&](const std::optional<MonotonicTime>& at) { return at.has_value() && now.monotonic >= *at; };
  if (due(apply_at_)) Apply();
  if (due(refresh_until_)) GiveUpRefresh();
  if (due(refresh_at_)) Refresh();
  if (!due(retry_at_)) return;
  retry_at_.reset();
  if (!WantsSomething()) return;
  const PaxosClaim<CouncilState>* own = OwnClaim();
  if (preempted_ || own == nullptr || own->promise.proposer != self()) return Propose();
  tell_claim_ = true;
  retry_at_ = now.monotonic + kRetry;
}

std::optional<MonotonicTime> Council::NextDeadline() const {
  return Earliest({apply_at_, refresh_until_, refresh_at_, retry_at_});
}

}  // namespace weave
