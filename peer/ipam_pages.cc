#include "peer/ipam_pages.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peer/status_pages.h"

namespace weave {
namespace {

using Value = ReportValue;

constexpr int kPeerWidth = 37;
constexpr int kCountWidth = 8;

double ToDouble(AddressCount count) { return static_cast<double>(count); }

double Percentage(AddressCount count, const IpamStatus& status) {
  return 100 * ToDouble(count) / ToDouble(status.range.Range().size);
}

std::uint64_t Low(AddressCount count) { return absl::Uint128Low64(count); }  // of IPv4

const IpamStatus::Owner* FindOwner(const IpamStatus& status, PeerName peer) {
  for (const IpamStatus::Owner& owner : status.owners)
    if (owner.peer == peer) return &owner;
  return nullptr;
}

Value EntryValue(const IpamStatus& status, const IpamRange& part) {
  const IpamStatus::Owner* owner = FindOwner(status, part.entry->peer);
  return Value::MakeStruct({{"Token", Value::String(part.range.start.ToString())},
                            {"Size", Value::Uint(Low(part.range.size))},
                            {"Peer", Value::String(part.entry->peer.ToString())},
                            {"Nickname", Value::String(owner == nullptr ? "" : owner->nickname)},
                            {"IsKnownPeer", Value::Bool(owner != nullptr && owner->reachable)},
                            {"Version", Value::Uint(part.entry->version)}});
}

Value PaxosValue(const IpamStatus& status) {
  if (!status.election.has_value() && !status.priming) return Value();
  const IpamStatus::Election election = status.election.value_or(IpamStatus::Election());
  return Value::MakeStruct({{"Elector", Value::Bool(status.election.has_value())},
                            {"KnownNodes", Value::Uint(election.known_count)},
                            {"Quorum", Value::Uint(election.quorum)}});
}

Value PendingClaimValue(const IpamStatus::PendingClaim& claim) {
  const Value cidr = Value::MakeStruct({{"Addr", Value::String(claim.address.address().ToString())},
                                        {"PrefixLen", Value::Int(claim.address.prefix_length())}});
  return Value::MakeStruct({{"Ident", Value::String(claim.ident)}, {"CIDR", cidr}});
}

std::string RemovalText(const IpamStatus::Removal& removal) {
  constexpr std::size_t kMost = 5;
  const std::string peer = NameAndNickname(removal.peer.peer, removal.peer.nickname);
  if (removal.heir.has_value())
    return absl::StrCat(peer, " is promised to ", NameAndNickname(removal.heir->peer, removal.heir->nickname), "\n");
  std::string text = absl::StrCat(peer, " is to be removed: ", removal.voter_count, " of ", removal.member_count,
                                  " peers voted, not heard:");
  for (std::size_t i = 0; i < std::min(kMost, removal.silent.size()); ++i)
    absl::StrAppend(&text, " ", NameAndNickname(removal.silent[i].peer, removal.silent[i].nickname));
  if (removal.silent.size() > kMost) absl::StrAppend(&text, " and ", removal.silent.size() - kMost, " more");
  return text + "\n";
}

std::string StrayText(const IpamStatus::Stray& stray) {
  const std::string owner = NameAndNickname(stray.owner.peer, stray.owner.nickname);
  return absl::StrCat(stray.address.ToString(), " is in use here by ", OneLine(stray.holder),
                      stray.used_there ? " and, it seems, at its owner " : " and owned by ", owner, "\n");
}

}  // namespace

std::string IpamStatusText(const IpamStatus& status) {
  if (status.entries.empty()) {
    if (status.election.has_value())
      return absl::StrCat("awaiting consensus (quorum: ", status.election->quorum,
                          ", known: ", status.election->known_count, ")");
    return status.priming ? "priming" : "idle";
  }
  if (std::none_of(status.owners.begin(), status.owners.end(),
                   [](const IpamStatus::Owner& owner) { return owner.reachable && owner.count > 0; }))
    return "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead";
  if (!status.pending_allocations.empty()) return "waiting for IP(s) to become available";
  return "ready";
}

std::string IpamPage(const IpamStatus& status) {
  std::string text;
  for (const IpamStatus::Owner& owner : status.owners) {
    const bool ours = &owner == &status.owners.front();
    if (owner.count == 0) continue;
    absl::StrAppendFormat(&text, "%-*s %*d IPs (%04.1f%% of total) %s\n", kPeerWidth,
                          NameAndNickname(owner.peer, owner.nickname), kCountWidth, Low(owner.count),
                          Percentage(owner.count, status),
                          ours              ? absl::StrCat("(", status.active_count, " active)")
                          : owner.reachable ? ""
                                            : "- unreachable!");
  }
  for (const IpamStatus::Removal& removal : status.removals) text += RemovalText(removal);
  constexpr std::size_t kMostStrays = 20;
  for (std::size_t i = 0; i < std::min(kMostStrays, status.strays.size()); ++i) text += StrayText(status.strays[i]);
  if (status.strays.size() > kMostStrays)
    absl::StrAppend(&text, "and ", status.strays.size() - kMostStrays, " more addresses in use here\n");
  return text;
}

ReportValue IpamValue(const IpamStatus& status) {
  Value::List entries;
  for (const IpamRange& part : RangesOf(status)) entries.push_back(EntryValue(status, part));
  Value::List claims;
  for (const IpamStatus::PendingClaim& claim : status.pending_claims) claims.push_back(PendingClaimValue(claim));
  Value::List allocations;
  for (const IpamStatus::PendingAllocation& pending : status.pending_allocations)
    allocations.push_back(Value::String(absl::StrCat(pending.ident, " ", pending.subnet.ToString())));
  return Value::MakeStruct({{"Paxos", PaxosValue(status)},
                            {"Range", Value::String(status.range.ToString())},
                            {"RangeNumIPs", Value::Uint(Low(status.range.Range().size))},
                            {"ActiveIPs", Value::Uint(status.active_count)},
                            {"DefaultSubnet", Value::String(status.default_subnet.ToString())},
                            {"Entries", Value::ListOrNull(std::move(entries))},
                            {"PendingClaims", Value::ListOrNull(std::move(claims))},
                            {"PendingAllocates", Value::ListOrNull(std::move(allocations))}});
}

std::vector<IpamRange> RangesOf(const IpamStatus& status) {
  const AddressRange universe = status.range.Range();
  const absl::uint128 start = universe.start.value();
  std::vector<IpamRange> ranges;
  const std::vector<RingEntry>& entries = status.entries;
  if (entries.empty()) return ranges;
  if (entries.front().token != universe.start)
    ranges.push_back({&entries.back(), {universe.start, entries.front().token.value() - start}});
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const absl::uint128 end = i + 1 < entries.size() ? entries[i + 1].token.value() : start + universe.size;
    ranges.push_back({&entries[i], {entries[i].token, end - entries[i].token.value()}});
  }
  return ranges;
}

IpamUnreachable CountUnreachable(const IpamStatus& status) {
  IpamUnreachable unreachable;
  AddressCount addresses = 0;
  for (const IpamStatus::Owner& owner : status.owners) {
    if (owner.reachable || owner.count == 0) continue;
    ++unreachable.count;
    addresses += owner.count;
  }
  unreachable.percentage = Percentage(addresses, status);
  return unreachable;
}

}  // namespace weave
