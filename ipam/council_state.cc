#include "ipam/council_state.h"

#include <algorithm>

#include "absl/container/btree_set.h"

namespace weave {
namespace {

bool BelowName(const CouncilMember& member, PeerName name) { return member.name < name; }

}  // namespace

bool CouncilTakeover::Concerns(PeerName victim) const {
  return std::any_of(victims.begin(), victims.end(), [&](const CouncilVictim& v) { return v.name == victim; });
}

const CouncilMember* CouncilState::FindMember(PeerName name) const {
  const auto member = std::lower_bound(members.begin(), members.end(), name, BelowName);
  return member == members.end() || member->name != name ? nullptr : &*member;
}

bool CouncilState::IsMember(const PaxosNodeId& node) const {
  const CouncilMember* member = FindMember(node.name);
  return member != nullptr && (member->uid == 0 || member->uid == node.uid);
}

bool CouncilState::IsQuorum(const std::vector<PaxosNodeId>& nodes) const {
  absl::btree_set<PeerName> voters;
  for (const PaxosNodeId& node : nodes)
    if (IsMember(node)) voters.insert(node.name);
  if (voters.size() * 2 != members.size()) return voters.size() * 2 > members.size();
  return !members.empty() && *voters.begin() == members.front().name;
}

void CouncilState::SetMember(const CouncilMember& member) {
  const auto at = std::lower_bound(members.begin(), members.end(), member.name, BelowName);
  if (at != members.end() && at->name == member.name)
    *at = member;
  else
    members.insert(at, member);
}

void CouncilState::RemoveMember(PeerName name) {
  std::erase_if(members, [&](const CouncilMember& member) { return member.name == name; });
}

CouncilTakeover* CouncilState::FindTakeover(std::uint64_t number, PeerName heir) {
  for (CouncilTakeover& takeover : takeovers)
    if (takeover.number == number && takeover.heir == heir) return &takeover;
  return nullptr;
}

std::uint64_t CouncilState::NextNumber() const {
  std::uint64_t number = id.epoch * kMaxTakeovers;
  for (const CouncilTakeover& takeover : takeovers)
    if (IsOfThisDecision(takeover)) number = std::max(number, takeover.number + 1);
  return number;
}

bool CouncilState::LearnApplied(const CouncilState& other) {
  bool learnt = false;
  for (const CouncilTakeover& theirs : other.takeovers) {
    CouncilTakeover* ours = theirs.applied ? FindTakeover(theirs.number, theirs.heir) : nullptr;
    if (ours == nullptr || ours->applied) continue;
    ours->applied = learnt = true;
    ours->witness = theirs.witness;
  }
  return learnt;
}

}  // namespace weave
