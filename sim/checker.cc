#include "sim/checker.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weave::sim {
namespace {

constexpr LifeId kNoLife = ~LifeId{0};  // a container that is not there

// The addresses a request is about. `any`: perhaps every one, as the allocator or the tables decide.
struct Touched {
  bool is_reset = false;
  bool adds = false;
  bool any = false;
  std::vector<IpAddress> addresses;
};

Touched ByWishes(bool adds, const std::vector<AddressWish>& wishes) {
  Touched touched{false, adds, wishes.empty(), {}};
  for (const AddressWish& wish : wishes) {
    if (const auto* exact = std::get_if<Cidr>(&wish))
      touched.addresses.push_back(exact->address());
    else
      touched.any = true;
  }
  return touched;
}

Touched TouchedBy(const ApiRequest& request) {
  if (const auto* attach = std::get_if<AttachRequest>(&request)) return ByWishes(true, attach->wishes);
  if (const auto* detach = std::get_if<DetachRequest>(&request)) return ByWishes(false, detach->wishes);
  if (const auto* expose = std::get_if<ExposeRequest>(&request)) return ByWishes(true, expose->wishes);
  if (const auto* hide = std::get_if<HideRequest>(&request)) return ByWishes(false, hide->wishes);
  return {std::holds_alternative<ResetRequest>(request), true, false, {}};
}

bool Mentions(const Touched& touched, const IpAddress& address) {
  return touched.any ||
         std::find(touched.addresses.begin(), touched.addresses.end(), address) != touched.addresses.end();
}

std::vector<std::string> Sorted(const std::vector<Cidr>& addresses) {
  std::vector<std::string> texts;
  for (const Cidr& address : addresses) texts.push_back(address.ToString());
  std::sort(texts.begin(), texts.end());
  return texts;
}

std::string Text(const std::vector<Cidr>& addresses) { return absl::StrJoin(Sorted(addresses), " "); }

}  // namespace

void NetworkOracle::OnAddressAdded(HostId host, const IpAddress& address) { Add({host, ""}, address); }

void NetworkOracle::OnAddressRemoved(HostId host, const IpAddress& address) {
  const auto entry = held_.find(address);
  const Holder interfaces{host, ""};
  if (entry == held_.end() || --entry->second[interfaces] > 0) return;
  entry->second.erase(interfaces);
  if (entry->second.empty()) held_.erase(entry);
}

void NetworkOracle::OnGiven(HostId host, const std::string& holder, const IpAddress& address) {
  const auto entry = held_.find(address);
  if (entry == held_.end() || !entry->second.contains({host, holder})) Add({host, holder}, address);
}

void NetworkOracle::Add(const Holder& holder, const IpAddress& address) {
  if (!range_.has_value() || !range_->Contains(address)) return;
  auto& holders = held_[address];
  ++holders[holder];
  if (holders.size() < 2) return;
  std::vector<std::string> names;
  for (const auto& [other, count] : holders)
    names.push_back(absl::StrCat(other.second.empty() ? "an interface" : other.second, " on host ", other.first));
  trace_.Violation(holder.first,
                   absl::StrCat("address ", address.ToString(), " is held by ", absl::StrJoin(names, " and by ")));
}

void NetworkOracle::OnGivenBack(HostId host, const std::string& holder, const std::optional<IpAddress>& address) {
  for (const IpAddress& given : GivenTo(host, holder)) {
    if (address.has_value() && given != *address) continue;
    held_[given].erase({host, holder});
    if (held_[given].empty()) held_.erase(given);
  }
}

void NetworkOracle::OnHostLost(HostId host) {
  for (const auto& [holder, address] : GivenOn(host)) OnGivenBack(host, holder, address);
}

std::vector<IpAddress> NetworkOracle::GivenTo(HostId host, const std::string& holder) const {
  std::vector<IpAddress> given;
  for (const auto& [address, holders] : held_)
    if (holders.contains({host, holder})) given.push_back(address);
  return given;
}

std::vector<std::pair<std::string, IpAddress>> NetworkOracle::GivenOn(HostId host) const {
  std::vector<std::pair<std::string, IpAddress>> given;
  for (const auto& [address, holders] : held_)
    for (const auto& [holder, count] : holders)
      if (holder.first == host && !holder.second.empty()) given.emplace_back(holder.second, address);
  return given;
}

std::string AddressOracle::Name(LifeId life) const {
  return life == kBridgeLife ? "the bridge" : absl::StrCat("container life ", life);
}

LifeId AddressOracle::LifeOf(const SandboxRef& sandbox) const {
  const auto entry = model_->sandboxes().find(sandbox.netns_inode);
  if (entry == model_->sandboxes().end()) return kNoLife;
  const LifeId life = entry->second.life;
  const bool meant =
      sandbox.netns_path == HostModel::PathOf(life) || sandbox.netns_path == HostModel::PathOf(life, true);
  return meant ? life : kNoLife;
}

bool AddressOracle::IsOn(LifeId life, const IpAddress& address) const {
  const auto entry = on_.find(address);
  return entry != on_.end() && entry->second.contains(life);
}

void AddressOracle::OnAddressAdded(LifeId life, const Cidr& address) {
  network_.OnAddressAdded(host_, address.address());
  auto& holders = on_[address.address()];
  ++holders[life];
  if (holders.size() > 1) {
    std::vector<std::string> names;
    for (const auto& [holder, count] : holders) names.push_back(Name(holder));
    trace_.Violation(host_, absl::StrCat("address ", address.ToString(), " is on ", absl::StrJoin(names, " and on ")));
  }
  if (must_be_off_.contains({life, address.address()}))
    trace_.Violation(host_, absl::StrCat("address ", address.ToString(), " came back to ", Name(life),
                                         " after its removal was acknowledged"));
}

void AddressOracle::OnAddressRemoved(LifeId life, const Cidr& address, bool by_force) {
  network_.OnAddressRemoved(host_, address.address());
  const auto entry = on_.find(address.address());
  if (entry == on_.end()) return;
  if (--entry->second[life] > 0) return;
  entry->second.erase(life);
  if (entry->second.empty()) on_.erase(entry);
  if (!by_force && must_be_on_.contains({life, address.address()}))
    trace_.Violation(host_, absl::StrCat("address ", address.ToString(), " was taken from ", Name(life),
                                         ", which nobody asked for"));
}

void AddressOracle::OnLifeEnded(LifeId life) {
  const auto ended = [life](const Claim& claim) { return claim.first == life; };
  absl::erase_if(must_be_on_, ended);
  absl::erase_if(must_be_off_, ended);
}

void AddressOracle::OnSubmit(RequestId id, const ApiRequest& request) {
  if (std::holds_alternative<IpamRequest>(request)) return;  // about no interface
  Pending pending{kBridgeLife, request};
  if (const auto* attach = std::get_if<AttachRequest>(&request)) pending.life = LifeOf(attach->sandbox);
  if (const auto* detach = std::get_if<DetachRequest>(&request)) pending.life = LifeOf(detach->sandbox);
  const Touched touched = TouchedBy(request);
  const auto affected = [&](const Claim& claim) {
    return touched.is_reset || (claim.first == pending.life && Mentions(touched, claim.second));
  };
  if (touched.is_reset || !touched.adds) absl::erase_if(must_be_on_, affected);
  if (touched.is_reset || touched.adds) absl::erase_if(must_be_off_, affected);
  pending_.emplace(id, std::move(pending));
}

bool AddressOracle::ResetPending() const {
  return std::any_of(pending_.begin(), pending_.end(),
                     [](const auto& entry) { return std::holds_alternative<ResetRequest>(entry.second.request); });
}

bool AddressOracle::Contested(LifeId life, const IpAddress& address, bool adds) const {
  return std::any_of(pending_.begin(), pending_.end(), [&](const auto& entry) {
    const Touched touched = TouchedBy(entry.second.request);
    if (touched.is_reset) return true;
    return entry.second.life == life && touched.adds == adds && Mentions(touched, address);
  });
}

void AddressOracle::OnReply(const Reply& reply) {
  const auto entry = pending_.find(reply.request);
  if (entry == pending_.end()) return;
  const Pending pending = std::move(entry->second);
  pending_.erase(entry);
  if (!reply.status.ok()) return;
  if (pending.life != kBridgeLife && model_->FindLife(pending.life) == nullptr) return;  // it died
  const Touched touched = TouchedBy(pending.request);
  if (touched.is_reset) return;
  if (touched.adds)
    ExpectOn(pending.life, reply.addresses);
  else
    ExpectOff(pending.life, reply.addresses);
}

void AddressOracle::ExpectOn(LifeId life, const std::vector<Cidr>& addresses) {
  const bool excused = life == kBridgeLife && !model_->bridge().has_value();  // somebody deleted the bridge
  for (const Cidr& address : addresses) {
    if (ResetPending() || Contested(life, address.address(), false)) continue;
    if (!excused && !IsOn(life, address.address()))
      trace_.Violation(host_,
                       absl::StrCat("address ", address.ToString(), " was acknowledged but is not on ", Name(life)));
    must_be_on_.insert({life, address.address()});
  }
}

void AddressOracle::ExpectOff(LifeId life, const std::vector<Cidr>& addresses) {
  for (const Cidr& address : addresses) {
    if (ResetPending() || Contested(life, address.address(), true)) continue;
    if (IsOn(life, address.address()))
      trace_.Violation(host_, absl::StrCat("the removal of address ", address.ToString(),
                                           " was acknowledged but it is on ", Name(life)));
    must_be_off_.insert({life, address.address()});
  }
}

void AddressOracle::OnCrash() { pending_.clear(); }

void AddressOracle::CheckAtRest() {
  for (const Claim& claim : must_be_on_)
    if (!IsOn(claim.first, claim.second))
      trace_.Violation(host_, absl::StrCat("address ", claim.second.ToString(), " was acknowledged but is not on ",
                                           Name(claim.first), " at rest"));
}

void CheckHostAtRest(const SimHost& host, Trace& trace) {
  if (!host.up()) return;
  const PeerSnapshot snapshot = host.core().Snapshot();
  const HostModel& model = host.model();
  const auto fail = [&](auto&&... parts) { trace.Violation(host.id(), absl::StrCat("at rest: ", parts...)); };
  if (!snapshot.ready) return fail("the peer is not ready: ", snapshot.host_error.ToString());
  if (!snapshot.host_error.ok()) fail("the host is in error: ", snapshot.host_error.ToString());
  if (!model.bridge().has_value()) return fail("there is no bridge");
  if (!model.filter_ready()) fail("the packet filter is not set up");

  absl::btree_set<std::uint64_t> listed;
  for (const EndpointTable::View& view : snapshot.endpoints) {
    const std::uint64_t inode = view.record.sandbox.netns_inode;
    listed.insert(inode);
    const auto sandbox = model.sandboxes().find(inode);
    if (sandbox == model.sandboxes().end() || !sandbox->second.interface.has_value()) {
      fail("the core lists sandbox ", inode, ", which has no interface");
      continue;
    }
    const HostModel::Interface& interface = *sandbox->second.interface;
    if (Sorted(interface.addresses) != Sorted(view.record.addresses))
      fail("sandbox ", inode, " has [", Text(interface.addresses), "], the core says [", Text(view.record.addresses),
           "]");
    if (!(view.link == interface.link)) fail("sandbox ", inode, " has another interface than the core says");
    if (!interface.in_bridge) fail("the interface of sandbox ", inode, " is not in the bridge");
  }
  for (const auto& [inode, sandbox] : model.sandboxes())
    if (sandbox.interface.has_value() && sandbox.interface->holder.empty() && !listed.contains(inode))
      fail("sandbox ", inode, " has an interface with [", Text(sandbox.interface->addresses),
           "] that the core does not know");

  std::vector<Cidr> exposed;
  for (const ExposureRecord& exposure : snapshot.exposures) exposed.push_back(exposure.cidr);
  if (Sorted(exposed) != Sorted(model.bridge()->addresses))
    fail("the bridge has [", Text(model.bridge()->addresses), "], the core says [", Text(exposed), "]");

  const auto records = host.core().Records();
  for (const auto& [key, record] : records) {
    const auto durable = host.disk().durable().find(key);
    if (durable == host.disk().durable().end())
      fail("record ", key, " is not on disk");
    else if (!(durable->second == record))
      fail("record ", key, " on disk differs from the core's");
  }
  for (const auto& [key, record] : host.disk().durable())
    if (!records.contains(key)) fail("record ", key, " is on disk but not in the core");
}

void CheckLiveness(const SimHost& host, bool quiet, Trace& trace) {
  if (!quiet) trace.Violation(host.id(), "the simulation does not come to rest");
  if (host.waiting_count() > 0)
    trace.Violation(host.id(), absl::StrCat(host.waiting_count(), " requests were never answered"));
}

}  // namespace weave::sim
