#include "sim/guests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/attachment.h"

namespace weave::sim {

Guests::Guests(GuestOptions options, Cidr range, SimHost& host, EventQueue& queue, NetworkOracle& oracle, Random random)
    : options_(options), range_(range), host_(host), queue_(queue), oracle_(oracle), random_(random) {
  guests_.resize(options_.guests);
}

void Guests::Start() {
  ++round_;
  for (Guest& guest : guests_) Think(guest);
}

void Guests::ForgetAll() {
  Stop();
  for (Guest& guest : guests_)
    if (guest.state != State::kHere) End(guest);
}

void Guests::Think(Guest& guest) {
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), options_.max_think_time),
                           [this, &guest, round = round_] {
                             if (round != round_) return;
                             Act(guest);
                             Think(guest);
                           });
}

void Guests::Act(Guest& guest) {
  switch (guest.state) {
    case State::kAbsent:
      if (host_.up() && host_.core().allocator() != nullptr) Ask(guest);
      return;
    case State::kAsking:
      if (!host_.Waits(*guest.request)) End(guest);  // gone with the peer that it was asked of
      return;
    case State::kMaking:
      return;
    case State::kHere:
      return Leave(guest);
  }
}

void Guests::Ask(Guest& guest) {
  guest.life = ++lives_;
  guest.holder = NetworkAttachment{absl::StrCat("guest", host_.id(), ".", guest.life), "sim", "eth0"}.ToString();
  const SandboxRef sandbox = host_.model().Start(guest.holder);
  guest.netns_inode = sandbox.netns_inode;
  guest.sandbox = host_.model().sandboxes().at(sandbox.netns_inode).life;
  guest.state = State::kAsking;
  guest.request = host_.Submit(IpamRequest{AllocateOperation{guest.holder, range_, false, Upkeep::kInterface}},
                               [this, &guest, life = guest.life](const Reply& reply) {
                                 if (guest.life != life || guest.state != State::kAsking) return;
                                 if (reply.status.ok())
                                   OnGiven(guest, reply.addresses.front());
                                 else
                                   End(guest);
                               });
}

void Guests::OnGiven(Guest& guest, const Cidr& address) {
  if (random_.Chance(options_.killed_permille, 1000)) return End(guest);
  guest.address = address;
  guest.state = State::kMaking;
  oracle_.OnGiven(host_.id(), guest.holder, address.address());
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), options_.max_making_time),
                           [this, &guest, life = guest.life] {
                             if (guest.life == life && guest.state == State::kMaking) MakeInterface(guest);
                           });
}

bool Guests::Holds(const Guest& guest) const {
  return host_.core().allocator() != nullptr &&
         host_.core().allocator()->HolderOf(guest.address.address()) == guest.holder;
}

// The plugin asks whether it still has the address behind making the interface; here there is no time between the two.
void Guests::MakeInterface(Guest& guest) {
  oracle_.OnGivenBack(host_.id(), guest.holder, std::nullopt);
  const bool alive = host_.model().FindLife(guest.sandbox) != nullptr;
  if (!alive || !host_.up() || !Holds(guest) || !host_.model().AddGuest(guest.netns_inode, guest.address))
    return End(guest);
  guest.state = State::kHere;
}

void Guests::Leave(Guest& guest) {
  const HostModel::Sandbox* sandbox = host_.model().FindLife(guest.sandbox);
  const bool there = sandbox != nullptr && sandbox->interface.has_value();
  if (there && random_.Chance(1, 2)) return;
  const bool silent = !there || random_.Chance(options_.silent_permille, 1000);
  End(guest);
  if (!silent && host_.up())
    host_.Submit(IpamRequest{ReleaseOperation{guest.holder, std::nullopt}}, [](const Reply&) {});
}

void Guests::End(Guest& guest) {
  if (guest.state == State::kMaking) oracle_.OnGivenBack(host_.id(), guest.holder, std::nullopt);
  if (host_.model().FindLife(guest.sandbox) != nullptr) host_.model().Kill(guest.netns_inode);
  guest.state = State::kAbsent;
}

absl::Status Guests::CheckRecords() const {
  if (!host_.up() || host_.core().allocator() == nullptr) return absl::OkStatus();
  for (const auto& [holder, record] : host_.core().allocator()->allocations()) {
    if (record.upkeep != Upkeep::kInterface) continue;
    bool there = false;
    for (const Guest& guest : guests_) {
      const HostModel::Sandbox* sandbox = host_.model().FindLife(guest.sandbox);
      there = there || (guest.state == State::kHere && guest.holder == holder && sandbox != nullptr &&
                        sandbox->interface.has_value());
    }
    if (!there)
      return absl::InternalError(absl::StrCat("host ", host_.id(), " keeps ", record.addresses.front().ToString(),
                                              " for ", holder, ", which is not there"));
  }
  for (const Guest& guest : guests_) {
    const HostModel::Sandbox* sandbox = host_.model().FindLife(guest.sandbox);
    if (guest.state != State::kHere || sandbox == nullptr || !sandbox->interface.has_value() || Holds(guest)) continue;
    return absl::InternalError(
        absl::StrCat("host ", host_.id(), " does not know that ", guest.holder, " has ", guest.address.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace weave::sim
