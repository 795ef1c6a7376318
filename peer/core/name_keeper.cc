#include "peer/core/name_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/container/btree_set.h"
#include "absl/strings/match.h"

namespace weave {
namespace {

constexpr std::size_t kNetNsIdentSize = 12;  // hex digits of a namespace, which does not come back (host/sandbox.h)

NameRecord ToNameRecord(const NameEntry& entry) {
  return {entry.container, IpAddress::V4(entry.address), entry.hostname, entry.version};
}

std::string KeyOf(const NameEntry& entry) {
  return NameKey(entry.container, IpAddress::V4(entry.address), entry.hostname);
}

}  // namespace

NameKeeper::NameKeeper(PeerName self, std::string domain, const KnownPeers& peers, const AddressIndex& addresses,
                       const EndpointTable& endpoints, Logger& logger, Duration tombstone_life)
    : addresses_(addresses),
      endpoints_(endpoints),
      logger_(logger),
      registry_(self, std::move(domain), peers, logger, tombstone_life) {}

bool NameKeeper::IsAttached(absl::string_view holder) const {
  const std::vector<EndpointRecord> endpoints = endpoints_.Records();
  return std::any_of(endpoints.begin(), endpoints.end(),
                     [&](const EndpointRecord& endpoint) { return endpoint.sandbox.ident == holder; });
}

bool NameKeeper::Lives(const NameRecord& record) const {
  if (record.holder == kExposeName) return addresses_.HolderOf(record.address) != nullptr;
  if (absl::StartsWith(record.holder, "weave:")) return true;
  return record.holder.size() != kNetNsIdentSize || IsAttached(record.holder);
}

void NameKeeper::Restore(const std::vector<NameRecord>& records, PeerOutput& out) {
  for (const NameRecord& record : records) {
    const bool usable = record.address.IsV4() && IsWithin(record.hostname, registry_.domain());
    if (usable && Lives(record)) {
      registry_.Restore({record.holder, {}, record.address.v4(), record.hostname, record.version, 0});
      continue;
    }
    logger_.Info("dropping a name whose holder is gone", {{"name", record.hostname}, {"holder", record.holder}});
    out.tidy.push_back({NameKey(record.holder, record.address, record.hostname), std::nullopt});
  }
}

void NameKeeper::OnAdd(const AddNameRequest& request) {
  registry_.Add(request.holder, request.address.v4(), request.hostname);
}

void NameKeeper::OnRemove(Now now, const RemoveNamesRequest& request) {
  NameFilter filter;
  filter.container = request.holder;
  if (request.address.has_value()) {
    if (!request.address->IsV4()) return;  // nobody has a name for it
    filter.address = request.address->v4();
  }
  if (request.hostname.has_value()) filter.hostname = FullyQualified(*request.hostname);
  registry_.Remove(now, filter);
}

void NameKeeper::Expect(RequestId id, std::string holder, std::string hostname) {
  if (!hostname.empty()) expected_.insert_or_assign(id, Expected{std::move(holder), std::move(hostname)});
}

void NameKeeper::Settle(Now now, const AddressPlanner::LetGo& let_go, PeerOutput& out) {
  for (const Reply& reply : out.replies) {
    const auto expected = expected_.find(reply.request);
    if (expected == expected_.end()) continue;
    if (reply.status.ok())
      for (const Cidr& address : reply.addresses)
        registry_.Add(expected->second.holder, address.address().v4(), expected->second.hostname);
    expected_.erase(expected);
  }
  // By whatever name of its container an address was attached: on no interface any more, it answers to nobody.
  for (const AddressIndex::Released& released : let_go.addresses) {
    if (!released.address.IsV4() || addresses_.HolderOf(released.address) != nullptr) continue;
    for (const std::string& holder : registry_.OwnHoldersOf(released.address.v4()))
      if (holder != kExternName) registry_.Remove(now, {holder, released.address.v4(), {}});
  }
  for (const std::string& holder : let_go.holders)
    if (!IsAttached(holder)) registry_.Remove(now, {holder, {}, {}});
  for (const NameEntryPtr& entry : registry_.TakeOwnChanges())
    out.tidy.push_back({KeyOf(*entry), entry->alive() ? std::optional<Record>(ToNameRecord(*entry)) : std::nullopt});
}

std::vector<std::string> NameKeeper::HoldersToCheck() const {
  absl::btree_set<std::string> holders;
  for (const NameEntryPtr& entry : registry_.OwnEntries())
    if (!absl::StartsWith(entry->container, "weave:")) holders.insert(entry->container);
  for (const EndpointRecord& endpoint : endpoints_.Records()) holders.erase(endpoint.sandbox.ident);
  return {holders.begin(), holders.end()};
}

absl::btree_map<std::string, Record> NameKeeper::Records() const {
  absl::btree_map<std::string, Record> records;
  for (const NameEntryPtr& entry : registry_.OwnEntries()) records.emplace(KeyOf(*entry), ToNameRecord(*entry));
  return records;
}

}  // namespace weave
