#include "sim/address_callers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/attachment.h"

namespace weave::sim {
namespace {

constexpr int kLongestPrefix = 30;  // of a subnet that can be asked for

}  // namespace

AddressCallers::AddressCallers(CallerOptions options, Cidr range, SimHost& host, EventQueue& queue,
                               NetworkOracle& oracle, Random random)
    : options_(options), range_(range), host_(host), queue_(queue), oracle_(oracle), random_(random) {
  callers_.resize(options_.callers);
  for (std::size_t i = 0; i < callers_.size(); ++i)
    for (std::uint32_t n = 0; n < options_.holders; ++n)
      callers_[i].holders.push_back(absl::StrCat("holder", host_.id(), ".", i, ".", n));
}

void AddressCallers::Start() {
  ++round_;
  lost_ = false;
  for (Caller& caller : callers_) Think(caller);
}

void AddressCallers::ForgetAll() {
  lost_ = true;
  oracle_.OnHostLost(host_.id());
}

void AddressCallers::Think(Caller& caller) {
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), options_.max_think_time),
                           [this, &caller, round = round_] {
                             if (round != round_) return;
                             Act(caller);
                             Think(caller);
                           });
}

void AddressCallers::Act(Caller& caller) {
  if (caller.request.has_value() && host_.Waits(*caller.request)) {
    if (queue_.time() >= caller.patient_until) host_.Cancel(*caller.request);
    return;
  }
  caller.request.reset();  // answered, or gone with the peer that it was asked of
  if (host_.up()) Ask(caller);
}

void AddressCallers::Ask(Caller& caller) {
  caller.patient_until = queue_.time() + Draw(random_, absl::ZeroDuration(), options_.max_patience);
  const std::uint64_t what = random_.Below(24);
  if (what < 11) return AskForAny(caller);
  if (what < 14) return Claim(caller);
  if (what < 22) return Release(caller);
  if (what < 23) return AskForOneOfNobody(caller);
  caller.request = Submit(AwaitRingOperation{}, [](const Reply&) {});
}

RequestId AddressCallers::Submit(IpamOperation operation, SimHost::Done done) {
  ApiRequest request(std::in_place_type<IpamRequest>);
  std::get<IpamRequest>(request).operation = std::move(operation);
  return host_.Submit(std::move(request), std::move(done));
}

SimHost::Done AddressCallers::Gives(std::string holder) {
  return [this, holder = std::move(holder)](const Reply& reply) {
    if (lost_) return;
    for (const Cidr& address : reply.addresses) oracle_.OnGiven(host_.id(), holder, address.address());
  };
}

Cidr AddressCallers::PickSubnet() {
  const int prefix = range_.prefix_length();
  if (prefix >= kLongestPrefix || random_.Chance(1, 2)) return range_;
  const int longer = static_cast<int>(random_.Between(prefix, kLongestPrefix));
  const std::uint32_t inside = static_cast<std::uint32_t>(random_.Below(std::uint64_t{1} << (longer - prefix)));
  return Cidr(IpAddress::V4(range_.address().v4() + (inside << (32 - longer))), longer);
}

void AddressCallers::AskForAny(Caller& caller) {
  const std::string& holder = caller.holders[random_.Below(caller.holders.size())];
  caller.request = Submit(AllocateOperation{holder, PickSubnet()}, Gives(holder));
}

// As Docker's driver does: the holder is the address.
void AddressCallers::AskForOneOfNobody(Caller& caller) {
  caller.request = Submit(AllocateOperation{std::string(kUnknownHolder), range_}, [this, &caller](const Reply& reply) {
    if (lost_) return;
    for (const Cidr& address : reply.addresses) {
      caller.unknown.push_back(address.address().ToString());
      oracle_.OnGiven(host_.id(), caller.unknown.back(), address.address());
    }
  });
}

void AddressCallers::Claim(Caller& caller) {
  const std::string& holder = caller.holders[random_.Below(caller.holders.size())];
  const std::uint64_t size = std::uint64_t{1} << (32 - range_.prefix_length());
  const auto inside = static_cast<std::uint32_t>(random_.Below(size));
  const Cidr address(IpAddress::V4(range_.address().v4() + inside), range_.prefix_length());
  caller.request = Submit(ClaimOperation{holder, address, false, random_.Chance(1, 4)}, Gives(holder));
}

// From the moment it is asked for, nobody relies on the address.
void AddressCallers::Release(Caller& caller) {
  std::string holder = caller.holders[random_.Below(caller.holders.size())];
  if (!caller.unknown.empty() && random_.Chance(1, 2)) {
    holder = std::move(caller.unknown.back());
    caller.unknown.pop_back();
  }
  std::optional<IpAddress> address;
  const std::vector<IpAddress> given = oracle_.GivenTo(host_.id(), holder);
  if (!given.empty() && random_.Chance(1, 3)) address = given[random_.Below(given.size())];
  oracle_.OnGivenBack(host_.id(), holder, address);
  caller.request = Submit(ReleaseOperation{holder, address}, [](const Reply&) {});
}

void AddressCallers::ReleaseRecorded() {
  const absl::btree_map<std::string, AllocationRecord> recorded = host_.core().allocator()->allocations();
  for (const auto& [holder, record] : recorded)
    if (!record.is_container) Submit(ReleaseOperation{holder, std::nullopt}, [](const Reply&) {});
}

}  // namespace weave::sim
