#include "sim/paxos_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weave::sim {
namespace {

std::vector<PeerName> SortedOnce(std::vector<PeerName> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// What everybody must agree on in one decision; what has been carried out of it, each learns in time.
bool IsSameDecision(const CouncilState& a, const CouncilState& b) {
  return a.members == b.members &&
         std::equal(a.takeovers.begin(), a.takeovers.end(), b.takeovers.begin(), b.takeovers.end(),
                    [](const CouncilTakeover& x, const CouncilTakeover& y) {
                      return x.number == y.number && x.heir == y.heir && x.victims == y.victims;
                    });
}

}  // namespace

template <typename... Parts>
void PaxosChecker::Broken(HostId host, const Parts&... parts) {
  trace_.Violation(host, absl::StrCat(parts...));
}

void PaxosChecker::Look(HostId host, const SimDisk::Records& disk) {
  Seen& seen = seen_[host];
  if (const auto row = disk.find(PaxosKey()); row != disk.end())
    TakeElection(host, std::get<PaxosRecord>(row->second), seen);
  if (const auto row = disk.find(RingKey()); row != disk.end()) TakeRing(host, std::get<RingRecord>(row->second), seen);
}

void PaxosChecker::Forget(HostId host) {
  seen_.erase(host);
  for (auto& [id, decision] : decisions_) decision.hosts.erase(host);
  absl::erase_if(decisions_, [](const auto& entry) { return entry.second.hosts.empty(); });
}

void PaxosChecker::TakeElection(HostId host, const PaxosRecord& record, Seen& seen) {
  if (seen.paxos == record) return;
  NodeClaims said;
  if (const auto own = record.claims.find(record.node); own != record.claims.end()) said = own->second;
  if (seen.paxos.has_value()) {
    NodeClaims before;
    if (const auto own = seen.paxos->claims.find(seen.paxos->node); own != seen.paxos->claims.end())
      before = own->second;
    if (record.node != seen.paxos->node) Broken(host, "an elector comes back as another node");
    if (said.promise < before.promise || said.accepted < before.accepted)
      Broken(host, "an elector goes back on its promise of round ", before.promise.round);
  }
  seen.paxos = record;
  if (!said.accepted.valid()) return;
  Vote& vote = votes_[said.accepted];
  if (vote.voters.empty()) vote.value = said.value;
  if (vote.value != said.value) Broken(host, "round ", said.accepted.round, " of the election has two values");
  vote.voters.insert(record.node);
}

void PaxosChecker::TakeRing(HostId host, const RingRecord& record, Seen& seen) {
  if (!seeds_.has_value()) TakeFirstRing(host, record);
  if (record.seeds != seeds_) Broken(host, "there are two lists of first owners");
  if (record.council.has_value()) TakeCouncil(host, *record.council, seen);
}

void PaxosChecker::TakeFirstRing(HostId host, const RingRecord& record) {
  seeds_ = record.seeds;
  if (!quorum_.has_value()) return;
  // The row of the ring has taken the place of the last vote, its own.
  const bool agreed = std::any_of(votes_.begin(), votes_.end(), [&](const auto& entry) {
    const Vote& vote = entry.second;
    std::size_t count = vote.voters.size() + 1;
    for (const PaxosNodeId& voter : vote.voters)
      if (voter.name == record.self) --count;
    return count >= *quorum_ && SortedOnce(vote.value.peers) == record.seeds;
  });
  if (!agreed && *quorum_ > 1) Broken(host, "first owners that no quorum has voted for");
}

void PaxosChecker::TakeCouncil(HostId host, const CouncilMemory& memory, Seen& seen) {
  if (seen.council == memory) return;
  if (seen.council.has_value()) {
    const CouncilMemory& before = *seen.council;
    if (memory.uid != before.uid) Broken(host, "a member of the council comes back as another");
    if (memory.state.id < before.state.id) Broken(host, "a decision of the council is forgotten");
    if (memory.state.id == before.state.id &&
        (memory.claim.promise < before.claim.promise || memory.claim.accepted < before.claim.accepted))
      Broken(host, "a member of the council goes back on its promise of round ", before.claim.promise.round);
  }
  seen.council = memory;
  Decision& decision = decisions_.try_emplace(memory.state.id, Decision{memory.state, {}}).first->second;
  decision.hosts.insert(host);
  if (!IsSameDecision(decision.state, memory.state))
    Broken(host, "decision ", memory.state.id.generation, "/", memory.state.id.epoch, " of the council is two");
}

}  // namespace weave::sim
