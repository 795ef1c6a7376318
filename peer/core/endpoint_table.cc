#include "peer/core/endpoint_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "peer/core/backoff.h"

namespace weave {
namespace {

void RemoveAddresses(std::vector<Cidr>& from, const std::vector<Cidr>& removed) {
  std::erase_if(from, [&](const Cidr& c) { return HoldsAddress(removed, c.address()); });
}

AddressHolder HolderFor(const EndpointRecord& record) {
  return {EndpointKey(record.sandbox.netns_inode), record.sandbox.ident};
}

std::string Join(const std::vector<Cidr>& addresses) {
  return absl::StrJoin(addresses, " ", [](std::string* text, const Cidr& c) { absl::StrAppend(text, c.ToString()); });
}

Reply Refusal(RequestId id, absl::Status status) { return {id, std::move(status), {}}; }

}  // namespace

EndpointTable::EndpointTable(std::string boot_id, AddressIndex& addresses, CommandIds& command_ids, Logger& logger)
    : boot_id_(std::move(boot_id)), addresses_(addresses), command_ids_(command_ids), logger_(logger) {}

void EndpointTable::Hold(const std::vector<EndpointRecord>& records, const HostInventory& inventory, PeerOutput& out) {
  for (const EndpointRecord& record : records) {
    const LiveEndpoint* live = FindLive(record, inventory);
    if (live == nullptr) {
      logger_.Info(WhyForgotten(record, inventory), {{"container", record.sandbox.ident}});
      PersistRecord(record.sandbox.netns_inode, std::nullopt, out.tidy);
      continue;
    }
    Endpoint& endpoint = endpoints_[record.sandbox.netns_inode];
    endpoint.link = live->link;
    endpoint.record = EndpointRecord{record.sandbox, boot_id_, {}, record.multicast_route};
    for (const Cidr& address : live->addresses) AdoptAddress(endpoint, address);
  }
}

void EndpointTable::Adopt(const std::vector<StrayEndpoint>& strays, PeerOutput& out) {
  for (const StrayEndpoint& stray : strays) {
    const std::uint64_t inode = stray.sandbox.netns_inode;
    const auto [entry, inserted] = endpoints_.try_emplace(inode);
    if (!inserted) continue;
    Endpoint& endpoint = entry->second;
    endpoint.link = stray.live.link;
    endpoint.record = EndpointRecord{stray.sandbox, boot_id_, {}, true};
    for (const Cidr& address : stray.live.addresses) AdoptAddress(endpoint, address);
    if (endpoint.record->addresses.empty()) {  // all are others': it is not ours to take away
      endpoints_.erase(entry);
      continue;
    }
    logger_.Info("taking over a container that is attached and not on record",
                 {{"container", stray.sandbox.ident}, {"addresses", Join(endpoint.record->addresses)}});
    PersistRecord(inode, endpoint.record, out.persist);
  }
}

void EndpointTable::Restore(const std::vector<EndpointRecord>& records, const HostInventory& inventory,
                            PeerOutput& out) {
  for (const EndpointRecord& record : records) {
    if (FindLive(record, inventory) == nullptr) continue;
    const std::uint64_t inode = record.sandbox.netns_inode;
    Endpoint& endpoint = endpoints_.at(inode);
    const std::size_t present = endpoint.record->addresses.size();
    for (const Cidr& address : record.addresses) AdoptAddress(endpoint, address);
    if (*endpoint.record != record) PersistRecord(inode, endpoint.record, out.persist);
    // Addresses are missing, or the interface of a detach that a crash cut short has none left and shall go.
    endpoint.incomplete = endpoint.record->addresses.size() > present || endpoint.record->addresses.empty();
    StartNext(inode, out);
  }
}

absl::string_view EndpointTable::WhyForgotten(const EndpointRecord& record, const HostInventory& inventory) const {
  if (record.boot_id != boot_id_) return "forgetting an endpoint of an earlier boot of this machine";
  const auto& unattached = inventory.unattached;
  if (std::find(unattached.begin(), unattached.end(), record.sandbox.netns_inode) == unattached.end())
    return "forgetting an endpoint whose container is gone";
  // The record is written before the interface is made and erased after it is removed.
  return "forgetting an endpoint without interface: the peer ended within an attach or detach, or somebody removed it";
}

const LiveEndpoint* EndpointTable::FindLive(const EndpointRecord& record, const HostInventory& inventory) const {
  if (record.boot_id != boot_id_) return nullptr;
  for (const LiveEndpoint& live : inventory.endpoints)
    if (live.netns_inode == record.sandbox.netns_inode) return &live;
  return nullptr;
}

void EndpointTable::AdoptAddress(Endpoint& endpoint, const Cidr& address) {
  if (HoldsAddress(endpoint.record->addresses, address.address())) return;  // a second prefix length is not ours
  if (addresses_.Take(address.address(), HolderFor(*endpoint.record))) {
    endpoint.record->addresses.push_back(address);
    return;
  }
  logger_.Error("an address is held twice on this host", {{"address", address.ToString()},
                                                          {"container", endpoint.record->sandbox.ident},
                                                          {"holder", addresses_.HolderOf(address.address())->name}});
}

void EndpointTable::OnAttach(RequestId id, AttachOrder request, PeerOutput& out) {
  std::vector<std::uint64_t> formers = SuspectFormerSandboxes(request.sandbox, out);
  const std::uint64_t inode = request.sandbox.netns_inode;
  Enqueue(inode, {id, std::move(request), std::move(formers)}, out);
}

void EndpointTable::OnDetach(RequestId id, DetachOrder request, PeerOutput& out) {
  const std::uint64_t inode = request.sandbox.netns_inode;
  Enqueue(inode, {id, std::move(request), {}}, out);
}

void EndpointTable::Enqueue(std::uint64_t netns_inode, Waiting waiting, PeerOutput& out) {
  Endpoint& endpoint = endpoints_[netns_inode];
  if (endpoint.waiting.size() >= kMaxWaitingOperations) {
    out.replies.push_back(Refusal(waiting.id, absl::ResourceExhaustedError(absl::StrCat(
                                                  "more than ", kMaxWaitingOperations,
                                                  " operations are waiting for this container: try again later"))));
    return;
  }
  endpoint.waiting.push_back(std::move(waiting));
  StartNext(netns_inode, out);
}

void EndpointTable::StartNext(std::uint64_t netns_inode, PeerOutput& out) {
  const auto entry = endpoints_.find(netns_inode);
  if (entry == endpoints_.end()) return;
  Endpoint& endpoint = entry->second;
  if (!endpoint.command.has_value()) StartChore(netns_inode, endpoint, out);
  while (!endpoint.command.has_value() && !endpoint.waiting.empty() && !Blocked(netns_inode, endpoint.waiting.front()))
    StartFront(netns_inode, endpoint, out);
  if (!endpoint.command.has_value() && !endpoint.record.has_value() && endpoint.waiting.empty())
    endpoints_.erase(entry);
}

void EndpointTable::StartFront(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out) {
  Waiting& front = endpoint.waiting.front();
  auto* attach = std::get_if<AttachOrder>(&front.operation);
  // The kernel gives a namespace's inode out again as soon as it is free: the record may tell of a dead container.
  if (attach != nullptr && !front.looked && endpoint.record.has_value() &&
      endpoint.record->sandbox != attach->sandbox) {
    front.looked = true;
    // By the way on record: a caller who waited long may name one that was there before.
    Inspect(netns_inode, endpoint, front.id, out);
    return;
  }
  Waiting next = std::move(front);
  endpoint.waiting.pop_front();
  if (attach != nullptr)
    StartAttach(endpoint, next.id, std::get<AttachOrder>(next.operation), out);
  else
    StartDetach(endpoint, next.id, std::get<DetachOrder>(next.operation), out);
}

void EndpointTable::StartChore(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out) {
  if (closed_ || !endpoint.record.has_value() || endpoint.retry_at.has_value()) return;
  if (endpoint.suspect)
    Inspect(netns_inode, endpoint, std::nullopt, out);
  else if (endpoint.incomplete)
    Repair(netns_inode, endpoint, out);
}

// Drops from `behind` the sandboxes that have been looked at.
bool EndpointTable::Blocked(std::uint64_t netns_inode, Waiting& waiting) {
  std::erase_if(waiting.behind, [&](std::uint64_t inode) {
    const auto entry = endpoints_.find(inode);
    if (entry == endpoints_.end()) return true;
    const Endpoint& endpoint = entry->second;
    const bool looking =
        endpoint.command.has_value() && in_flight_.at(*endpoint.command).kind == InFlight::Kind::kInspect;
    return !looking && !(endpoint.suspect && !endpoint.retry_at.has_value());
  });
  if (waiting.behind.empty()) return false;
  blocked_.insert(netns_inode);
  return true;
}

void EndpointTable::StartAttach(Endpoint& endpoint, RequestId id, const AttachOrder& request, PeerOutput& out) {
  const std::optional<EndpointRecord> before = endpoint.record;
  EndpointRecord target = before.value_or(EndpointRecord{request.sandbox, boot_id_, {}, request.multicast_route});
  std::vector<Cidr> added;
  for (const Cidr& address : request.addresses) {
    const auto same = std::find_if(target.addresses.begin(), target.addresses.end(),
                                   [&](const Cidr& c) { return c.address() == address.address(); });
    absl::Status refusal;
    if (same == target.addresses.end() && target.addresses.size() == kMaxEndpointAddressCount) {
      refusal = absl::ResourceExhaustedError(
          absl::StrCat("a container can have at most ", kMaxEndpointAddressCount, " addresses"));
    } else if (same != target.addresses.end()) {
      if (*same == address) continue;
      refusal = absl::AlreadyExistsError(
          absl::StrCat("address ", address.ToString(), " is already attached to this container as ", same->ToString()));
    } else if (!addresses_.Take(address.address(), HolderFor(target))) {
      refusal = absl::AlreadyExistsError(absl::StrCat("address ", address.ToString(), " is already in use by ",
                                                      addresses_.HolderOf(address.address())->name));
    }
    if (!refusal.ok()) {
      for (const Cidr& taken : added) addresses_.Release(taken.address(), HolderFor(target));
      out.replies.push_back(Refusal(id, std::move(refusal)));
      return;
    }
    added.push_back(address);
    target.addresses.push_back(address);
  }
  target.sandbox.netns_path = request.sandbox.netns_path;  // the newest path leads there most surely
  target.multicast_route = request.multicast_route;
  if (before != target) PersistRecord(target.sandbox.netns_inode, target, out.persist);
  endpoint.record = target;
  Issue(endpoint,
        {target.sandbox.netns_inode, id, before, std::move(added), InFlight::Kind::kAttach, request.addresses},
        AttachEndpoint{target}, out);
}

void EndpointTable::StartDetach(Endpoint& endpoint, RequestId id, const DetachOrder& request, PeerOutput& out) {
  if (!endpoint.record.has_value()) {
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  const std::optional<EndpointRecord> before = endpoint.record;
  EndpointRecord target = *before;
  std::vector<Cidr> removed;
  for (const Cidr& address : before->addresses)
    if (request.addresses.empty() || HoldsAddress(request.addresses, address.address())) removed.push_back(address);
  if (removed.empty()) {
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  RemoveAddresses(target.addresses, removed);
  PersistRecord(target.sandbox.netns_inode, target, out.persist);
  endpoint.record = target;
  const bool last = target.addresses.empty();
  Issue(endpoint, {target.sandbox.netns_inode, id, before, removed, InFlight::Kind::kDetach, removed},
        DetachEndpoint{*before, removed, last}, out);
}

void EndpointTable::Issue(Endpoint& endpoint, InFlight in_flight, HostAction action, PeerOutput& out) {
  CHECK(!endpoint.command.has_value());
  const CommandId command = command_ids_.Next();
  endpoint.command = command;
  in_flight_.emplace(command, std::move(in_flight));
  out.commands.push_back({command, std::move(action)});
}

bool EndpointTable::OnCommandDone(Now now, CommandId id, const HostResult& result, PeerOutput& out) {
  const auto entry = in_flight_.find(id);
  if (entry == in_flight_.end()) return false;
  InFlight done = std::move(entry->second);
  in_flight_.erase(entry);
  Endpoint& endpoint = endpoints_.at(done.netns_inode);
  endpoint.command.reset();
  switch (done.kind) {
    case InFlight::Kind::kAttach:
      FinishAttach(now, endpoint, done, result, out);
      break;
    case InFlight::Kind::kDetach:
      FinishDetach(now, endpoint, done, result, out);
      break;
    case InFlight::Kind::kInspect:
      FinishInspect(now, endpoint, done, result, out);
      break;
  }
  StartNext(done.netns_inode, out);
  for (const std::uint64_t inode : std::exchange(blocked_, {})) StartNext(inode, out);
  return true;
}

void EndpointTable::FinishAttach(Now now, Endpoint& endpoint, InFlight& done, const HostResult& result,
                                 PeerOutput& out) {
  const std::string ident = endpoint.record->sandbox.ident;
  if (result.status.ok()) {
    endpoint.link = result.link;
    endpoint.incomplete = false;
    endpoint.backoff = absl::ZeroDuration();
    stray_port_ = stray_port_ || done.bridge_lost;
    logger_.Info("attached", {{"container", ident}, {"addresses", Join(endpoint.record->addresses)}});
  } else {
    logger_.Warning("attach failed", {{"container", ident}, {"reason", result.status.message()}});
    for (const Cidr& address : done.changed) addresses_.Release(address.address(), HolderFor(*endpoint.record));
    if (endpoint.record != done.before) PersistRecord(done.netns_inode, done.before, out.persist);
    endpoint.record = done.before;
    if (!endpoint.record.has_value()) endpoint.suspect = false;  // nothing is left that could have vanished
    if (!done.request.has_value()) ChoreFailed(now, endpoint);
  }
  if (!done.request.has_value()) return;
  Reply reply{*done.request, result.status, {}};
  if (result.status.ok()) reply.addresses = std::move(done.answer);
  out.replies.push_back(std::move(reply));
}

void EndpointTable::FinishDetach(Now now, Endpoint& endpoint, InFlight& done, const HostResult& result,
                                 PeerOutput& out) {
  const std::string ident = endpoint.record->sandbox.ident;
  if (result.status.ok()) {
    logger_.Info("detached", {{"container", ident}, {"addresses", Join(done.changed)}});
    for (const Cidr& address : done.changed) addresses_.Release(address.address(), HolderFor(*endpoint.record));
    if (endpoint.record->addresses.empty()) Forget(endpoint, out);
  } else {
    logger_.Warning("detach failed", {{"container", ident}, {"reason", result.status.message()}});
    if (endpoint.record != done.before) PersistRecord(done.netns_inode, done.before, out.persist);
    endpoint.record = done.before;
    ChoreFailed(now, endpoint);  // it may have stopped half-way: back to what the record says
  }
  if (!done.request.has_value()) return;
  out.replies.push_back(
      {*done.request, result.status, result.status.ok() ? std::move(done.answer) : std::vector<Cidr>{}});
}

void EndpointTable::FinishInspect(Now now, Endpoint& endpoint, const InFlight& done, const HostResult& result,
                                  PeerOutput& out) {
  if (!result.status.ok()) {
    ChoreFailed(now, endpoint);
    if (done.request.has_value()) RefuseOne(endpoint, *done.request, result.status, out);
    return;
  }
  endpoint.backoff = absl::ZeroDuration();
  if (result.present) return;
  logger_.Info("forgetting an endpoint: its container ended, or its interface was removed",
               {{"container", endpoint.record->sandbox.ident}});
  gone_.push_back(endpoint.record->sandbox.ident);
  Forget(endpoint, out);
}

// Whatever went wrong: first look whether the interface is still there, then make it what the record says.
void EndpointTable::ChoreFailed(Now now, Endpoint& endpoint) {
  endpoint.suspect = true;
  endpoint.incomplete = true;
  endpoint.backoff = NextBackoff(endpoint.backoff);
  endpoint.retry_at = now.monotonic + endpoint.backoff;
}

void EndpointTable::OnTimer(Now now, PeerOutput& out) {
  std::vector<std::uint64_t> due;
  for (auto& [inode, endpoint] : endpoints_) {
    if (!endpoint.retry_at.has_value() || *endpoint.retry_at > now.monotonic) continue;
    endpoint.retry_at.reset();
    due.push_back(inode);
  }
  for (const std::uint64_t inode : due) StartNext(inode, out);
}

std::optional<MonotonicTime> EndpointTable::NextDeadline() const {
  std::optional<MonotonicTime> next;
  if (closed_) return next;
  for (const auto& [inode, endpoint] : endpoints_)
    if (endpoint.retry_at.has_value()) BringForward(next, *endpoint.retry_at);
  return next;
}

void EndpointTable::OnEndpointGone(const EndpointGone& gone, PeerOutput& out) {
  std::vector<std::uint64_t> suspects;
  for (const auto& [inode, endpoint] : endpoints_)
    if (endpoint.link.has_value() && endpoint.link->host_ifname == gone.host_ifname) suspects.push_back(inode);
  // The name may be one that an attach under way has made and not told yet, also when a container that ended had the
  // same: names are made of the first digits of ids.
  for (const auto& [id, in_flight] : in_flight_)
    if (in_flight.kind == InFlight::Kind::kAttach) suspects.push_back(in_flight.netns_inode);
  // The notice may be late and mean an interface that has been made anew under the same name: look.
  for (const std::uint64_t inode : suspects) {
    endpoints_.at(inode).suspect = true;
    StartNext(inode, out);
  }
}

void EndpointTable::OnBridgeLost() {
  for (auto& [id, in_flight] : in_flight_)
    if (in_flight.kind == InFlight::Kind::kAttach) in_flight.bridge_lost = true;
}

void EndpointTable::Inspect(std::uint64_t netns_inode, Endpoint& endpoint, std::optional<RequestId> request,
                            PeerOutput& out) {
  endpoint.suspect = false;  // a notice that comes from now on asks for another look
  Issue(endpoint, {netns_inode, request, std::nullopt, {}, InFlight::Kind::kInspect, {}},
        InspectEndpoint{*endpoint.record}, out);
}

void EndpointTable::Repair(std::uint64_t netns_inode, Endpoint& endpoint, PeerOutput& out) {
  const EndpointRecord& record = *endpoint.record;
  endpoint.incomplete = false;
  if (record.addresses.empty())
    Issue(endpoint, {netns_inode, std::nullopt, record, {}, InFlight::Kind::kDetach, {}},
          DetachEndpoint{record, {}, true}, out);
  else
    Issue(endpoint, {netns_inode, std::nullopt, record, {}, InFlight::Kind::kAttach, {}}, AttachEndpoint{record}, out);
}

// A container has one network namespace: an endpoint of the same container in another one has most likely outlived its
// container. Only a look can tell.
std::vector<std::uint64_t> EndpointTable::SuspectFormerSandboxes(const SandboxRef& current, PeerOutput& out) {
  std::vector<std::uint64_t> formers;
  for (auto& [inode, endpoint] : endpoints_) {
    if (!endpoint.record.has_value() || inode == current.netns_inode || endpoint.record->sandbox.ident != current.ident)
      continue;
    endpoint.suspect = true;
    endpoint.retry_at.reset();
    formers.push_back(inode);
  }
  for (const std::uint64_t inode : formers) StartNext(inode, out);
  return formers;
}

void EndpointTable::Forget(Endpoint& endpoint, PeerOutput& out) {
  ReleaseAll(*endpoint.record);
  PersistRecord(endpoint.record->sandbox.netns_inode, std::nullopt, out.tidy);
  endpoint.record.reset();
  endpoint.link.reset();
  endpoint.suspect = false;
  endpoint.incomplete = false;
  endpoint.backoff = absl::ZeroDuration();
  endpoint.retry_at.reset();
}

void EndpointTable::ReleaseAll(const EndpointRecord& record) {
  for (const Cidr& address : record.addresses) addresses_.Release(address.address(), HolderFor(record));
}

bool EndpointTable::OnCancel(RequestId id, PeerOutput& out) {
  for (auto& [inode, endpoint] : endpoints_) {
    const auto found = std::find_if(endpoint.waiting.begin(), endpoint.waiting.end(),
                                    [id = id](const Waiting& waiting) { return waiting.id == id; });
    if (found == endpoint.waiting.end()) continue;
    endpoint.waiting.erase(found);
    out.replies.push_back(Refusal(id, absl::CancelledError("the caller went away")));
    StartNext(std::uint64_t{inode}, out);
    return true;
  }
  return false;
}

void EndpointTable::RefuseOne(Endpoint& endpoint, RequestId id, const absl::Status& status, PeerOutput& out) {
  const auto found = std::find_if(endpoint.waiting.begin(), endpoint.waiting.end(),
                                  [id](const Waiting& waiting) { return waiting.id == id; });
  if (found == endpoint.waiting.end()) return;  // cancelled
  endpoint.waiting.erase(found);
  out.replies.push_back(Refusal(id, status));
}

void EndpointTable::Close(const absl::Status& status, PeerOutput& out) {
  closed_ = true;
  for (auto& [inode, endpoint] : endpoints_) {
    for (const Waiting& waiting : endpoint.waiting) out.replies.push_back(Refusal(waiting.id, status));
    endpoint.waiting.clear();
  }
}

void EndpointTable::PersistRecord(std::uint64_t netns_inode, const std::optional<EndpointRecord>& record,
                                  std::vector<RecordChange>& changes) const {
  changes.push_back({EndpointKey(netns_inode), record});
}

std::vector<EndpointTable::View> EndpointTable::List() const {
  std::vector<View> views;
  for (const auto& [inode, endpoint] : endpoints_)
    if (endpoint.record.has_value() && endpoint.link.has_value()) views.push_back({*endpoint.record, endpoint.link});
  return views;
}

std::vector<EndpointRecord> EndpointTable::Records() const {
  std::vector<EndpointRecord> records;
  for (const auto& [inode, endpoint] : endpoints_)
    if (endpoint.record.has_value()) records.push_back(*endpoint.record);
  return records;
}

std::vector<Cidr> EndpointTable::AddressesOf(std::uint64_t netns_inode) const {
  const auto endpoint = endpoints_.find(netns_inode);
  if (endpoint == endpoints_.end() || !endpoint->second.record.has_value()) return {};
  return endpoint->second.record->addresses;
}

std::vector<std::string> EndpointTable::Ports() const {
  std::vector<std::string> ports;
  for (const auto& [inode, endpoint] : endpoints_)
    if (endpoint.link.has_value()) ports.push_back(endpoint.link->host_ifname);
  return ports;
}

absl::Status EndpointTable::CheckInvariants() const {
  for (const auto& [inode, endpoint] : endpoints_) {
    if (!endpoint.command.has_value() && !endpoint.waiting.empty() && endpoint.waiting.front().behind.empty())
      return absl::InternalError(absl::StrCat("sandbox ", inode, " is idle with operations waiting"));
    if (endpoint.command.has_value() && in_flight_.count(*endpoint.command) == 0)
      return absl::InternalError(absl::StrCat("sandbox ", inode, " waits for an unknown command"));
    if (!endpoint.record.has_value()) continue;
    for (const Cidr& address : endpoint.record->addresses) {
      const AddressHolder* holder = addresses_.HolderOf(address.address());
      if (holder == nullptr || !(*holder == HolderFor(*endpoint.record)))
        return absl::InternalError(absl::StrCat("address ", address.ToString(), " of sandbox ", inode, " is not held"));
    }
  }
  return absl::OkStatus();
}

}  // namespace weave
