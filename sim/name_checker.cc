#include "sim/name_checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/ip.h"
#include "base/status.h"
#include "dns/name_registry.h"

namespace weave::sim {
namespace {

// Deletions are forgotten after half an hour; the clocks of simulated hosts differ.
const Duration kRememberFor = kTombstoneLife - kMaxClockSkew;

std::string Describe(PeerName origin, absl::string_view hostname, std::uint32_t address) {
  return absl::StrCat(hostname, " at ", IpAddress::V4(address).ToString(), " of peer ", origin.ToString());
}

// What a query would get, from the table that queries are answered from.
absl::Status CheckAnswers(const SimHost& host, const LiveNames& expected) {
  absl::btree_map<std::string, std::vector<std::uint32_t>> answers;
  for (const auto& [origin, hostname, address] : expected) answers[FoldName(hostname)].push_back(address);
  for (auto& [name, addresses] : answers) {
    const absl::Span<const std::uint32_t> found = host.core().names()->Lookup(name);
    std::vector<std::uint32_t> there(found.begin(), found.end());
    std::sort(there.begin(), there.end());
    std::sort(addresses.begin(), addresses.end());
    if (there != addresses)
      return absl::InternalError(absl::StrCat("host ", host.id(), " has ", there.size(), " addresses for ", name,
                                              ", not those ", addresses.size(), " there are"));
  }
  return absl::OkStatus();
}

}  // namespace

void NameChecker::Look(const SimHost& host) {
  if (!host.up() || host.core().names() == nullptr) return;
  const NameRegistry& names = *host.core().names();
  Peer& peer = peers_[host.id()];
  if (std::exchange(peer.life, host.crash_count() + 1) != host.crash_count() + 1) peer = {peer.life, 0, {}};
  if (std::exchange(peer.generation, names.generation()) == names.generation()) return;
  const Topology& topology = host.core().mesh().topology();
  absl::btree_set<Key> alive;
  for (const NameEntryPtr& entry : names.Listing()) {
    if (!topology.Knows(entry->origin))
      trace_.Violation(host.id(), absl::StrCat("has a name of a peer that is not known: ",
                                               Describe(entry->origin, entry->hostname, entry->address)));
    if (entry->alive()) alive.insert({entry->origin, entry->hostname, entry->container, entry->address});
    Take(host, *entry, peer);
  }
  const MonotonicTime now = host.now().monotonic;
  for (auto state = peer.states.begin(); state != peer.states.end();) {
    if (state->second.alive && !alive.contains(state->first)) state->second = {false, state->second.version + 1, now};
    const bool forgotten = !state->second.alive && now - state->second.since > kRememberFor;
    state = forgotten || !topology.Knows(std::get<0>(state->first)) ? peer.states.erase(state) : std::next(state);
  }
}

void NameChecker::Take(const SimHost& host, const NameEntry& entry, Peer& peer) {
  State& state = peer.states[{entry.origin, entry.hostname, entry.container, entry.address}];
  // What is our own we may revive in any version; nobody else has seen it.
  if (entry.alive() && !state.alive && entry.version <= state.version && entry.origin != host.core().name())
    trace_.Violation(host.id(),
                     absl::StrCat("answers again for ", Describe(entry.origin, entry.hostname, entry.address),
                                  " in version ", entry.version, ", deleted in ", state.version));
  state = {entry.alive(), entry.version, host.now().monotonic};
}

absl::Status CheckNames(const std::vector<const SimHost*>& hosts, const LiveNames& expected) {
  for (const SimHost* host : hosts) {
    LiveNames found;
    for (const NameEntryPtr& entry : host->core().names()->Listing())
      if (entry->alive()) found.insert({entry->origin, entry->hostname, entry->address});
    for (const auto& [origin, hostname, address] : found)
      if (!expected.contains({origin, hostname, address}))
        return absl::InternalError(
            absl::StrCat("host ", host->id(), " answers for what is gone: ", Describe(origin, hostname, address)));
    for (const auto& [origin, hostname, address] : expected)
      if (!found.contains({origin, hostname, address}))
        return absl::InternalError(
            absl::StrCat("host ", host->id(), " does not answer for ", Describe(origin, hostname, address)));
    RETURN_IF_ERROR(CheckAnswers(*host, expected));
  }
  return absl::OkStatus();
}

}  // namespace weave::sim
