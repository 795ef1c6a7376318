#include "sim/workload.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weave::sim {
namespace {

constexpr std::uint32_t kPoolStart = 0x0a20'0001;  // 10.32.0.1

}  // namespace

Workload::Workload(WorkloadOptions options, SimHost& host, EventQueue& queue, Random random)
    : options_(options), host_(host), queue_(queue), random_(random) {
  for (std::uint32_t i = 0; i < options_.containers; ++i) containers_.push_back({NewIdent(), std::nullopt});
}

void Workload::Start() {
  StartContainers();
  Resume();
}

void Workload::Resume() {
  stopped_ = false;
  for (std::uint32_t caller = 0; caller < options_.callers; ++caller) Think(caller);
}

void Workload::StartContainers() {
  for (Container& container : containers_) container.sandbox = host_.model().Start(container.ident);
}

// Half of the names begin alike, so that names of interfaces meet.
std::string Workload::NewIdent() {
  const std::uint64_t number = ++idents_;
  return random_.Chance(1, 2) ? absl::StrFormat("c0ffee0%057x", number) : absl::StrFormat("%07x%057x", number, number);
}

void Workload::RestartContainer() {
  if (containers_.empty()) return;
  Container& container = containers_[random_.Below(containers_.size())];
  if (!container.sandbox.has_value()) return;
  host_.model().Kill(container.sandbox->netns_inode);
  container.sandbox.reset();
  if (random_.Chance(1, 2)) container.ident = NewIdent();
  const Duration pause =
      random_.Chance(1, 3) ? absl::ZeroDuration() : Draw(random_, absl::ZeroDuration(), absl::Seconds(1));
  queue_.After(pause, [this, &container] {
    if (!container.sandbox.has_value()) container.sandbox = host_.model().Start(container.ident);
  });
}

void Workload::Think(std::uint32_t caller) {
  if (stopped_) return;
  queue_.After(Draw(random_, absl::ZeroDuration(), options_.max_think_time), [this, caller] { Ask(caller); });
}

void Workload::Ask(std::uint32_t caller) {
  if (stopped_) return;
  if (!host_.up() || resetting_) return Think(caller);
  ApiRequest request = MakeRequest();
  if (std::holds_alternative<ResetRequest>(request)) {
    Reset();
    return Think(caller);
  }
  // A crash drops the answer and this object with it: the caller notices that the connection is closed, and goes on.
  struct Connection {
    Workload* workload;
    std::uint32_t caller;

    Connection(Workload* w, std::uint32_t c) : workload(w), caller(c) {}
    Connection(Connection&& other) noexcept : workload(std::exchange(other.workload, nullptr)), caller(other.caller) {}
    ~Connection() {
      if (workload != nullptr) workload->Think(caller);
    }
  };
  const RequestId id = host_.Submit(std::move(request), [connection = Connection(this, caller)](const Reply&) {});
  if (random_.Chance(options_.cancel_permille, 1000))
    queue_.After(Draw(random_, absl::ZeroDuration(), absl::Milliseconds(50)), [this, id] { host_.Cancel(id); });
}

ApiRequest Workload::MakeRequest() {
  const std::uint64_t total = options_.attach_weight + options_.detach_weight + options_.expose_weight +
                              options_.hide_weight + options_.nonsense_weight;
  // A reset takes everything with it: rarely.
  if (options_.reset_weight > 0 && random_.Chance(options_.reset_weight, 200)) return ResetRequest{};
  std::uint64_t drawn = random_.Below(total);
  const auto is = [&drawn](std::uint32_t weight) {
    if (drawn < weight) return true;
    drawn -= weight;
    return false;
  };
  if (is(options_.attach_weight)) return AttachRequest{PickSandbox(), PickWishes(1), random_.Chance(3, 4)};
  if (is(options_.detach_weight)) return DetachRequest{PickSandbox(), PickWishes(0)};
  if (is(options_.expose_weight)) return ExposeRequest{PickWishes(1), random_.Chance(3, 4)};
  if (is(options_.hide_weight)) return HideRequest{PickWishes(0)};
  return MakeNonsense();
}

ApiRequest Workload::MakeNonsense() {
  const Cidr twice(IpAddress::V4(kPoolStart), 24);
  switch (random_.Below(5)) {
    case 0:
      return AttachRequest{PickSandbox(), {}, true};
    case 1:
      return AttachRequest{PickSandbox(), {twice, twice}, true};
    case 2:
      return ExposeRequest{Exactly({Cidr(IpAddress::V6(1), 64)}), true};
    case 3:
      return ExposeRequest{Exactly({Cidr(IpAddress::V4(0xe000'0001), 24)}), true};
    default:
      return HideRequest{Exactly({Cidr(IpAddress::V4(0x7f00'0001), 8)})};
  }
}

SandboxRef Workload::PickSandbox() {
  const Container& container = containers_[random_.Below(containers_.size())];
  if (!container.sandbox.has_value()) return {container.ident, "/proc/0/ns/net", 1};
  SandboxRef sandbox = *container.sandbox;
  if (random_.Chance(1, 8)) {  // named by its namespace instead
    const HostModel::Sandbox& found = host_.model().sandboxes().at(sandbox.netns_inode);
    sandbox.netns_path = HostModel::PathOf(found.life, true);
    sandbox.ident = absl::StrFormat("%012x", sandbox.netns_inode);
  }
  return sandbox;
}

std::vector<Cidr> Workload::PickAddresses(std::size_t min_count) {
  const std::size_t count = min_count + random_.Below(2);
  std::vector<Cidr> picked;
  while (picked.size() < std::min<std::size_t>(count, options_.addresses)) {
    const IpAddress address = IpAddress::V4(kPoolStart + static_cast<std::uint32_t>(random_.Below(options_.addresses)));
    bool known = false;
    for (const Cidr& other : picked) known = known || other.address() == address;
    if (!known) picked.emplace_back(address, random_.Chance(1, 8) ? 16 : 24);
  }
  return picked;
}

std::vector<AddressWish> Workload::PickWishes(std::size_t min_count) {
  std::vector<AddressWish> wishes = Exactly(PickAddresses(min_count));
  // A random number only where there is an allocator: elsewhere seeds keep their stories.
  if (host_.core().allocator() == nullptr || random_.Chance(1, 4)) return wishes;
  return {AnyAddress{}};
}

// As `weave reset` does it: asks until it is done, then the program ends; somebody launches it again later.
void Workload::Reset() {
  resetting_ = true;
  struct Again {
    Workload* workload;

    explicit Again(Workload* w) : workload(w) {}
    Again(Again&& other) noexcept : workload(std::exchange(other.workload, nullptr)) {}
    ~Again() {  // crashed meanwhile: the reset is off
      if (workload != nullptr) workload->resetting_ = false;
    }
  };
  host_.Submit(ResetRequest{}, [this, again = Again(this)](const Reply& reply) mutable {
    again.workload = nullptr;
    if (!reply.status.ok()) {
      queue_.After(absl::Seconds(1), [this] {
        if (host_.up())
          Reset();
        else
          resetting_ = false;
      });
      return;
    }
    queue_.After(absl::ZeroDuration(), [this] {
      resetting_ = false;
      if (!host_.up()) return;
      host_.CheckClean();
      host_.Crash();
      queue_.After(Draw(random_, absl::ZeroDuration(), absl::Seconds(1)), [this] {
        if (!host_.up()) host_.Start();
      });
    });
  });
}

}  // namespace weave::sim
