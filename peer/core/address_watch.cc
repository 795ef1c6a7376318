#include "peer/core/address_watch.h"

#include <algorithm>
#include <utility>

#include "base/attachment.h"

namespace weave {

AddressWatch::AddressWatch(Allocator* allocator, const AddressIndex& addresses, AddressPlanner& planner,
                           CommandIds& command_ids, Logger& logger)
    : allocator_(allocator), addresses_(addresses), planner_(planner), command_ids_(command_ids), logger_(logger) {}

void AddressWatch::Start(Now now, bool rebooted) {
  if (allocator_ == nullptr) return;
  if (!rebooted) start_ = now.monotonic;
  look_at_ = now.monotonic + kSoon;
  if (!rebooted) return;
  // What other plugins made for attachments, or may have made, went with the containers.
  std::vector<std::string> attachments;
  for (const auto& [ident, record] : allocator_->allocations())
    if (NetworkAttachment::Parse(ident).has_value()) attachments.push_back(ident);
  for (const std::string& attachment : attachments) allocator_->LeaveToInterface(now, attachment);
}

void AddressWatch::OnGiven(Now now, const std::vector<Cidr>& addresses) {
  for (const Cidr& address : addresses) {
    const std::optional<std::string> holder = allocator_->HolderOf(address.address());
    if (holder.has_value() && allocator_->allocations().at(*holder).upkeep == Upkeep::kInterface)
      tracks_[address.address()] = {now.monotonic, false, std::nullopt};
  }
}

void AddressWatch::LookSoon(Now now) {
  changed_meanwhile_ = in_flight_.has_value();
  if (look_at_.has_value()) look_at_ = std::min(*look_at_, std::max(now.monotonic + kSoon, looked_at_ + kLeastPause));
}

void AddressWatch::OnTimer(Now now, PeerOutput& out) {
  if (!look_at_.has_value() || now.monotonic < *look_at_) return;
  look_at_.reset();
  if (allocator_->shut_down()) return;  // nothing here is this peer's any more
  looked_at_ = now.monotonic;
  in_flight_ = command_ids_.Next();
  out.commands.push_back({*in_flight_, SurveyAddresses{ports_, HasDoubts()}});
}

bool AddressWatch::OnCommandDone(Now now, CommandId id, const HostResult& result) {
  if (in_flight_ != id) return false;
  in_flight_.reset();
  if (closed_) return true;
  if (!result.status.ok())
    logger_.Warning("cannot look which addresses are in use", {{"reason", result.status.message()}});
  if (result.survey.has_value()) {
    settled_ = result.survey->ports == ports_;
    ports_ = result.survey->ports;
    ClaimUnknown(now, *result.survey);
    ReleaseUnused(now, *result.survey);
  }
  look_at_ = now.monotonic + (HasDoubts() || !result.status.ok() ? kRecheck : kPeriod);
  if (std::exchange(changed_meanwhile_, false)) LookSoon(now);
  return true;
}

void AddressWatch::Close() {
  closed_ = true;
  look_at_.reset();
}

// Only a look into the containers can tell.
bool AddressWatch::HasDoubts() const {
  if (!settled_) return true;
  for (const auto& [ident, record] : allocator_->allocations()) {
    if (record.upkeep != Upkeep::kInterface) continue;
    for (const Cidr& address : record.addresses) {
      const auto track = tracks_.find(address.address());
      if (track == tracks_.end() || !track->second.in_use()) return true;
    }
  }
  return false;
}

void AddressWatch::ClaimUnknown(Now now, const AddressSurvey& survey) {
  absl::btree_map<IpAddress, int> disputed;
  for (const AddressInUse& found : survey.in_use) {
    const IpAddress& address = found.address.address();
    if (addresses_.HolderOf(address) != nullptr || !allocator_->config().range.Contains(address)) continue;
    const std::optional<std::string> holder = allocator_->HolderOf(address);
    if (!holder.has_value()) {
      if (allocator_->IsClaiming(address)) continue;
      ++claimed_count_;
      logger_.Info("claiming an address that is in use and not on record",
                   {{"address", found.address.ToString()}, {"holder", found.holder}});
      planner_.ClaimFound(now, found);
    } else if (*holder == found.holder) {
      allocator_->LeaveToInterface(now, *holder);  // an attachment with an interface of its own
    } else if (NetworkAttachment::Parse(found.holder).has_value() &&
               ContainerOf(*holder) != ContainerOf(found.holder)) {
      // It may have changed hands while the host was being looked at: only what is seen again is worth a word, and one.
      disputed[address] = disputed_[address] + 1;
      if (disputed[address] == 2) planner_.ClaimFound(now, found);
    }
  }
  disputed_ = std::move(disputed);
}

void AddressWatch::ReleaseUnused(Now now, const AddressSurvey& survey) {
  absl::btree_map<IpAddress, Track> tracks;
  std::vector<std::pair<std::string, Cidr>> unused;
  for (const auto& [ident, record] : allocator_->allocations()) {
    if (record.upkeep != Upkeep::kInterface) continue;
    for (const Cidr& address : record.addresses) {
      const auto known = tracks_.find(address.address());
      Track& track = tracks[address.address()];
      track = known == tracks_.end() ? Track{start_, false, std::nullopt} : known->second;
      const bool in_use = addresses_.HolderOf(address.address()) != nullptr ||
                          survey.present.contains(address.address()) || survey.attachments.contains(ident);
      if (Judge(track, in_use, survey.complete)) unused.emplace_back(ident, address);
    }
  }
  tracks_ = std::move(tracks);
  for (const auto& [ident, address] : unused) {
    ++released_count_;
    logger_.Info("releasing an address that no interface of this host has any more",
                 {{"address", address.ToString()}, {"holder", ident}});
    planner_.ReleaseUnused(now, ident, address.address());
  }
}

bool AddressWatch::Judge(Track& track, bool in_use, bool complete) const {
  if (in_use) {
    track.seen = true;
    track.missing_since.reset();
    return false;
  }
  // Given while the host was being looked at; or what was not seen may be where nobody could look.
  if (!complete || (track.given.has_value() && *track.given > looked_at_)) return false;
  if (!track.missing_since.has_value()) {
    track.missing_since = looked_at_;
    return false;
  }
  const bool in_the_making = !track.seen && track.given.has_value() && looked_at_ - *track.given < kMakingTime;
  return !in_the_making && looked_at_ - *track.missing_since >= kGrace;
}

}  // namespace weave
