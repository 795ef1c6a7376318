#include "peer/core/address_planner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/attachment.h"
#include "base/check.h"
#include "peer/core/request_check.h"

namespace weave {
namespace {

constexpr std::size_t kContainerIdSize = 64;  // hex digits; shorter ones name a namespace, which never comes back

std::vector<Cidr> ExactOnes(const std::vector<AddressWish>& wishes) {
  std::vector<Cidr> addresses;
  for (const AddressWish& wish : wishes) addresses.push_back(std::get<Cidr>(wish));
  return addresses;
}

std::string IdentOf(const IpamOperation& operation) {
  if (const auto* allocate = std::get_if<AllocateOperation>(&operation)) return allocate->ident;
  if (const auto* claim = std::get_if<ClaimOperation>(&operation)) return claim->ident;
  return "";
}

}  // namespace

std::vector<AddressWish> Exactly(const std::vector<Cidr>& addresses) { return {addresses.begin(), addresses.end()}; }

AddressPlanner::AddressPlanner(Allocator* allocator, AddressIndex& addresses, EndpointTable& endpoints, HostSync& host,
                               Logger& logger)
    : allocator_(allocator), addresses_(addresses), endpoints_(endpoints), host_(host), logger_(logger) {}

void AddressPlanner::Restore(Now now, const std::vector<AddressInUse>& others) {
  addresses_.TakeReleased();  // nothing is the allocator's yet
  if (allocator_ == nullptr) return;
  DropUnused(now, others);
  for (const EndpointRecord& endpoint : endpoints_.Records())
    for (const Cidr& address : endpoint.addresses) Claim(now, endpoint.sandbox.ident, address, true, Upkeep::kHolder);
  for (const ExposureRecord& exposure : host_.List()) Claim(now, kExposeName, exposure.cidr, false, Upkeep::kHolder);
  for (const AddressInUse& other : others)
    if (allocator_->config().range.Contains(other.address.address())) ClaimFound(now, other);
}

void AddressPlanner::DropUnused(Now now, const std::vector<AddressInUse>& others) {
  absl::btree_set<IpAddress> in_use;
  for (const AddressInUse& other : others) in_use.insert(other.address.address());
  const absl::btree_map<std::string, AllocationRecord> allocations = allocator_->allocations();
  for (const auto& [key, allocation] : allocations) {
    // Of others we do not know yet whether they are at an end: what made their interfaces tells us, or AddressWatch.
    if (!allocation.is_container && allocation.ident != kExposeName) continue;
    for (const Cidr& address : allocation.addresses) {
      if (addresses_.HolderOf(address.address()) != nullptr || in_use.contains(address.address())) continue;
      logger_.Info("dropping an address whose holder is gone",
                   {{"address", address.ToString()}, {"holder", allocation.ident}});
      Release(now, allocation.ident, address.address());
    }
  }
}

void AddressPlanner::Claim(Now now, const std::string& ident, const Cidr& address, bool is_container, Upkeep upkeep) {
  if (const std::optional<std::string> holder = allocator_->HolderOf(address.address()); holder.has_value()) {
    // By another name of the same container, perhaps; an attachment has no other than its container's.
    if (NetworkAttachment::Parse(ident).has_value() && ContainerOf(*holder) != ContainerOf(ident))
      logger_.Error("an address in use on this host belongs to somebody else",
                    {{"address", address.ToString()}, {"container", ident}, {"reason", *holder}});
    return;
  }
  const OperationId operation = NextOperation();
  claims_.emplace(operation, address);
  allocator_->OnOperation(now, operation, ClaimOperation{ident, address, is_container, true, upkeep});
}

void AddressPlanner::OnRequest(Now now, RequestId id, ApiRequest request, PeerOutput& out) {
  if (allocator_ == nullptr) {
    if (const absl::Status refusal = CheckWithoutAllocator(request); !refusal.ok()) {
      out.replies.push_back({id, refusal, {}});
      return;
    }
  }
  if (auto* attach = std::get_if<AttachRequest>(&request)) {
    Plan plan;
    plan.ident = attach->sandbox.ident;
    plan.wishes = attach->wishes;
    plan.request = std::move(*attach);
    return OnAttachOrExpose(now, id, std::move(plan), out);
  }
  if (auto* expose = std::get_if<ExposeRequest>(&request)) {
    Plan plan;
    plan.ident = kExposeName;
    plan.wishes = expose->wishes;
    plan.request = std::move(*expose);
    return OnAttachOrExpose(now, id, std::move(plan), out);
  }
  if (const auto* detach = std::get_if<DetachRequest>(&request)) return OnDetach(now, id, *detach, out);
  if (const auto* hide = std::get_if<HideRequest>(&request)) return OnHide(now, id, *hide, out);
  OnIpam(now, id, std::get<IpamRequest>(request).operation, out);
}

// ---- giving ----

void AddressPlanner::OnAttachOrExpose(Now now, RequestId id, Plan plan, PeerOutput& out) {
  if (allocator_ == nullptr) {
    plan.addresses = ExactOnes(plan.wishes);
    return HandToHost(id, plan, out);
  }
  if (plan.wishes.empty()) plan.wishes.push_back(AnyAddress{});
  for (const Cidr& address : allocator_->Lookup(plan.ident, std::nullopt)) plan.known.insert(address.address());
  if (plan.ident != kExposeName) {
    // It has ended and was started again, or is about to be forgotten: what it had is its own if this succeeds.
    const auto former = allocator_->allocations().find(plan.ident);
    if (former != allocator_->allocations().end() && former->second.is_container && !InUse(plan.ident) &&
        !Planned(plan.ident))
      gone_.insert(plan.ident);
    allocator_->OnContainerStarted(now, plan.ident);
  }
  const auto [entry, inserted] = plans_.emplace(id, std::move(plan));
  CHECK(inserted) << "request " << id;
  GoOn(now, id, entry->second, out);
}

void AddressPlanner::GoOn(Now now, RequestId id, Plan& plan, PeerOutput& out) {
  if (plan.fulfilled == plan.wishes.size()) return HandToHost(id, plan, out);
  if (allocator_->Lookup(plan.ident, std::nullopt).size() >= kMaxHolderAddressCount)
    return Fail(now, id,
                absl::ResourceExhaustedError(
                    absl::StrCat(plan.ident, " has ", kMaxHolderAddressCount, " addresses, which is the most")),
                out);
  const AddressWish& wish = plan.wishes[plan.fulfilled];
  const bool is_container = plan.ident != kExposeName;
  const OperationId operation = NextOperation();
  plan.operation = operation;
  plan_operations_.emplace(operation, id);
  if (const auto* any = std::get_if<AnyAddress>(&wish)) {
    const Cidr subnet = any->subnet.value_or(allocator_->config().default_subnet);
    allocator_->OnOperation(now, operation, AllocateOperation{plan.ident, subnet, is_container});
  } else {
    allocator_->OnOperation(now, operation, ClaimOperation{plan.ident, std::get<Cidr>(wish), is_container, false});
  }
}

void AddressPlanner::HandToHost(RequestId id, const Plan& plan, PeerOutput& out) {
  if (const auto* attach = std::get_if<AttachRequest>(&plan.request))
    endpoints_.OnAttach(id, {attach->sandbox, plan.addresses, attach->multicast_route}, out);
  else
    host_.OnExpose(id, plan.addresses, std::get<ExposeRequest>(plan.request).masquerade, out);
}

void AddressPlanner::OnAnswered(const AllocatorReply& reply) {
  if (!reply.status.ok() || reply.addresses.empty()) return;
  if (const auto planned = plan_operations_.find(reply.operation); planned != plan_operations_.end()) {
    plans_.at(planned->second).promised = reply.addresses.front();
    return;
  }
  const auto direct = direct_operations_.find(reply.operation);
  if (direct == direct_operations_.end()) return;
  // Not a plan's to give back: somebody else was told of it.
  for (auto& [id, plan] : plans_)
    if (plan.ident == direct->second.ident)
      for (const Cidr& address : reply.addresses) plan.known.insert(address.address());
}

void AddressPlanner::OnReply(Now now, const AllocatorReply& reply, PeerOutput& out) {
  if (const auto planned = plan_operations_.find(reply.operation); planned != plan_operations_.end()) {
    const RequestId id = planned->second;
    plan_operations_.erase(planned);
    return OnFulfilled(now, id, plans_.at(id), reply, out);
  }
  if (const auto direct = direct_operations_.find(reply.operation); direct != direct_operations_.end()) {
    out.replies.push_back({direct->second.request, reply.status, reply.addresses, reply.taken_over});
    direct_operations_.erase(direct);
    return;
  }
  if (const auto first = claims_.find(reply.operation); first != claims_.end()) {
    if (!reply.status.ok())
      logger_.Error("an address in use on this host belongs to somebody else",
                    {{"address", first->second.ToString()}, {"reason", reply.status.message()}});
    claims_.erase(first);
  }
}

void AddressPlanner::OnFulfilled(Now now, RequestId id, Plan& plan, const AllocatorReply& reply, PeerOutput& out) {
  plan.operation.reset();
  plan.promised.reset();
  if (reply.status.ok()) {
    const Cidr address = reply.addresses.front();
    ++plan.fulfilled;
    if (!HoldsAddress(plan.addresses, address.address()))
      plan.addresses.push_back(address);  // two wishes may meet in one
    if (!plan.known.contains(address.address())) plan.taken.insert(address.address());
  }
  if (!plan.refusal.ok()) return Fail(now, id, absl::Status(plan.refusal), out);
  if (!closed_.ok()) return Fail(now, id, closed_, out);
  if (!reply.status.ok()) return Fail(now, id, reply.status, out);
  GoOn(now, id, plan, out);
}

void AddressPlanner::Fail(Now now, RequestId id, const absl::Status& status, PeerOutput& out) {
  const Plan plan = std::move(plans_.extract(id).mapped());
  GiveBack(now, plan);
  out.replies.push_back({id, status, {}});
}

void AddressPlanner::GiveBack(Now now, const Plan& plan) {
  for (const IpAddress& address : plan.taken) ReleaseUnlessWanted(now, plan.ident, address);
  if (gone_.contains(plan.ident)) OnGone(now, plan.ident);
}

// ---- taking away ----

// Those of the holder that are wished; exact ones whether it has them or not.
std::vector<Cidr> AddressPlanner::Resolve(absl::string_view ident, const std::vector<Cidr>& attached,
                                          const std::vector<AddressWish>& wishes) const {
  std::vector<Cidr> addresses;
  const auto add = [&](const Cidr& address) {
    if (!HoldsAddress(addresses, address.address())) addresses.push_back(address);
  };
  const std::vector<AddressWish> net_default = {AnyAddress{}};
  for (const AddressWish& wish : wishes.empty() ? net_default : wishes) {
    if (const auto* exact = std::get_if<Cidr>(&wish)) {
      add(*exact);
      continue;
    }
    const Cidr subnet = std::get<AnyAddress>(wish).subnet.value_or(allocator_->config().default_subnet);
    for (const Cidr& address : allocator_->Lookup(ident, subnet)) add(address);
    // A container may have been attached by another name: its process, its namespace.
    for (const Cidr& address : attached)
      if (subnet.Contains(address.address())) add(address);
  }
  return addresses;
}

void AddressPlanner::OnDetach(Now, RequestId id, const DetachRequest& request, PeerOutput& out) {
  if (allocator_ == nullptr) return endpoints_.OnDetach(id, {request.sandbox, ExactOnes(request.wishes)}, out);
  std::vector<Cidr> addresses =
      Resolve(request.sandbox.ident, endpoints_.AddressesOf(request.sandbox.netns_inode), request.wishes);
  if (addresses.empty()) {
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  removals_.emplace(id, Removal{request.sandbox.ident, addresses});
  endpoints_.OnDetach(id, {request.sandbox, std::move(addresses)}, out);
}

void AddressPlanner::OnHide(Now, RequestId id, const HideRequest& request, PeerOutput& out) {
  if (allocator_ == nullptr) return host_.OnHide(id, ExactOnes(request.wishes), out);
  std::vector<Cidr> addresses = Resolve(kExposeName, {}, request.wishes);
  if (addresses.empty()) {
    out.replies.push_back({id, absl::OkStatus(), {}});
    return;
  }
  removals_.emplace(id, Removal{kExposeName, addresses});
  host_.OnHide(id, addresses, out);
}

// ---- the allocator alone ----

absl::Status AddressPlanner::CheckRelease(const ReleaseOperation& release) const {
  for (const Cidr& address : allocator_->Lookup(release.ident, std::nullopt)) {
    if (release.address.has_value() && *release.address != address.address()) continue;
    // Free, it would be given to somebody else while it is on the interface.
    if (addresses_.HolderOf(address.address()) != nullptr)
      return absl::FailedPreconditionError(
          absl::StrCat("address ", address.address().ToString(), " is on an interface of ", release.ident,
                       ": it is freed by taking it away there ('weave detach', 'weave hide')"));
  }
  return absl::OkStatus();
}

void AddressPlanner::OnIpam(Now now, RequestId id, const IpamOperation& operation, PeerOutput& out) {
  const std::string ident = IdentOf(operation);
  absl::Status refusal;
  if (const auto* release = std::get_if<ReleaseOperation>(&operation)) refusal = CheckRelease(*release);
  if (!ident.empty() && allocator_->Lookup(ident, std::nullopt).size() >= kMaxHolderAddressCount)
    refusal = absl::ResourceExhaustedError(
        absl::StrCat(ident, " has ", kMaxHolderAddressCount, " addresses, which is the most"));
  if (!refusal.ok()) {
    out.replies.push_back({id, std::move(refusal), {}});
    return;
  }
  const OperationId asked = NextOperation();
  direct_operations_.emplace(asked, Direct{id, ident});
  allocator_->OnOperation(now, asked, operation);
}

bool AddressPlanner::OnCancel(Now now, RequestId id, PeerOutput&) {
  if (const auto entry = plans_.find(id); entry != plans_.end()) {
    Plan& plan = entry->second;
    if (!plan.operation.has_value()) return false;  // the host's to decide
    plan.refusal = absl::CancelledError("the caller went away");
    allocator_->OnCancel(now, *plan.operation);
    return true;
  }
  for (const auto& [operation, direct] : direct_operations_) {
    if (direct.request != id) continue;
    allocator_->OnCancel(now, OperationId{operation});
    return true;
  }
  return false;
}

void AddressPlanner::Close(Now now, const absl::Status& status) {
  closed_ = status;
  for (const auto& [operation, request] : plan_operations_) allocator_->OnCancel(now, OperationId{operation});
  for (const auto& [operation, direct] : direct_operations_) allocator_->OnCancel(now, OperationId{operation});
}

// ---- the end of an event ----

void AddressPlanner::Settle(Now now, PeerOutput& out) {
  released_ = addresses_.TakeReleased();
  const std::vector<std::string> gone = endpoints_.TakeGone();
  let_go_.addresses.insert(let_go_.addresses.end(), released_.begin(), released_.end());
  let_go_.holders.insert(let_go_.holders.end(), gone.begin(), gone.end());
  if (allocator_ == nullptr) return released_.clear();
  for (const Reply& reply : out.replies) OnHostAnswered(now, reply);
  // The tables may know a container by another name than the one it got an address by: what counts is the allocator's.
  absl::btree_set<std::string> ended(gone.begin(), gone.end());
  for (const AddressIndex::Released& released : std::exchange(released_, {})) {
    const std::optional<std::string> owner = allocator_->HolderOf(released.address);
    if (!owner.has_value()) continue;
    if (std::find(gone.begin(), gone.end(), released.name) != gone.end())
      ended.insert(*owner);
    else
      ReleaseUnlessWanted(now, *owner, released.address);
  }
  for (const std::string& ident : ended) OnGone(now, ident);
}

void AddressPlanner::OnHostAnswered(Now now, const Reply& reply) {
  if (const auto removal = removals_.find(reply.request); removal != removals_.end()) {
    const Removal removed = std::move(removal->second);
    removals_.erase(removal);
    if (!reply.status.ok()) return;
    // Those that were on no interface, too: what an earlier attach or another program left.
    for (const Cidr& address : removed.addresses) ReleaseUnlessWanted(now, removed.ident, address.address());
    return;
  }
  const auto entry = plans_.find(reply.request);
  if (entry == plans_.end()) return;
  CHECK(!entry->second.operation.has_value()) << "request " << reply.request;
  const Plan plan = std::move(plans_.extract(entry).mapped());
  if (reply.status.ok()) {
    gone_.erase(plan.ident);
    return;
  }
  // What the holder had before stays its own, though the host lets go of it.
  std::erase_if(released_, [&](const AddressIndex::Released& released) {
    return HoldsAddress(plan.addresses, released.address) && !plan.taken.contains(released.address);
  });
  GiveBack(now, plan);
}

void AddressPlanner::ReleaseUnlessWanted(Now now, absl::string_view ident, const IpAddress& address) {
  if (addresses_.HolderOf(address) != nullptr) return;
  for (auto& [id, plan] : plans_) {
    const bool promised = plan.promised.has_value() && plan.promised->address() == address;
    if (plan.ident != ident || (!promised && !HoldsAddress(plan.addresses, address))) continue;
    plan.known.erase(address);
    if (!promised) plan.taken.insert(address);
    return;
  }
  Release(now, ident, address);
}

// Who has nothing of the kind is told so, which nobody hears.
void AddressPlanner::Release(Now now, absl::string_view ident, const IpAddress& address) {
  allocator_->OnOperation(now, NextOperation(), ReleaseOperation{std::string(ident), address});
}

bool AddressPlanner::InUse(absl::string_view ident) const {
  const std::vector<Cidr> addresses = allocator_->Lookup(ident, std::nullopt);
  return std::any_of(addresses.begin(), addresses.end(),
                     [this](const Cidr& c) { return addresses_.HolderOf(c.address()) != nullptr; });
}

bool AddressPlanner::Planned(absl::string_view ident) const {
  return std::any_of(plans_.begin(), plans_.end(), [&](const auto& entry) { return entry.second.ident == ident; });
}

void AddressPlanner::OnGone(Now now, const std::string& ident) {
  if (InUse(ident)) return;  // it lives in another namespace
  if (Planned(ident)) {
    gone_.insert(ident);
    return;
  }
  gone_.erase(ident);
  if (ident.size() == kContainerIdSize)
    allocator_->OnContainerDied(now, ident);  // and may be started again (spec/ipam.md section 7.3)
  else
    allocator_->OnContainerDestroyed(now, ident);
}

}  // namespace weave
