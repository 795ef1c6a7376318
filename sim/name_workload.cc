#include "sim/name_workload.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peer/core/name_keeper.h"

namespace weave::sim {
namespace {

// Of a range that nobody else uses, a part for each host.
constexpr std::uint32_t kAddresses = 0x0a60'0000;  // 10.96.0.0
constexpr std::uint32_t kAddressesOfHost = 256;
constexpr std::uint32_t kFirstFixed = 128;

// A record that was asked for as long before a crash is on disk.
constexpr Duration kDurableWithin = absl::Seconds(2);

}  // namespace

NameWorkload::NameWorkload(NameOptions options, SimHost& host, EventQueue& queue, Trace& trace, Random random)
    : options_(options), host_(host), queue_(queue), trace_(trace), random_(random) {
  const std::uint32_t addresses = kAddresses + host.id() * kAddressesOfHost;
  const auto hostname = [&] {  // spelled either way
    return absl::StrCat(random_.Chance(1, 4) ? "Web" : "web", random_.Below(options_.hostnames), ".weave.local.");
  };
  for (std::uint32_t i = 0; i < options_.containers; ++i) containers_.push_back({hostname(), addresses + 1 + i, {}});
  for (std::uint32_t i = 0; i < options_.fixed; ++i) fixed_[{hostname(), addresses + kFirstFixed + i}] = {};
}

void NameWorkload::Think() {
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), options_.max_think_time), [this] {
    Act();
    Think();
  });
}

void NameWorkload::Act() {
  if (!stopped_ && !containers_.empty() && random_.Chance(1, 2)) Toggle(containers_[random_.Below(containers_.size())]);
  if (!host_.up()) return;
  NoticeCrash();
  for (Container& container : containers_)
    if (container.sandbox.has_value() && container.attached_in != life() && !container.asking) Attach(container);
  if (!stopped_ && !fixed_.empty() && random_.Chance(1, 2)) ToggleFixed();
}

void NameWorkload::Toggle(Container& container) {
  if (container.sandbox.has_value()) {
    host_.model().Kill(container.sandbox->netns_inode);
    container.sandbox.reset();
    if (random_.Chance(2, 3)) return;  // else it starts again at once
  }
  container.sandbox = host_.model().Start(absl::StrFormat("%04x%060x", host_.id() + 0xa000, ++started_));
  container.attached_in = 0;
}

void NameWorkload::Attach(Container& container) {
  // Told or not: with a crash of the peer this object goes with the call.
  struct Asking {
    Container* container;

    explicit Asking(Container* c) : container(c) { container->asking = true; }
    Asking(Asking&& other) noexcept : container(std::exchange(other.container, nullptr)) {}
    ~Asking() {
      if (container != nullptr) container->asking = false;
    }
  };
  const std::string ident = container.sandbox->ident;
  AttachRequest request{*container.sandbox, Exactly({Cidr(IpAddress::V4(container.address), 11)}), true,
                        container.hostname};
  host_.Submit(std::move(request), [this, ident, asking = Asking(&container)](const Reply& reply) {
    Container& there = *asking.container;
    if (reply.status.ok() && there.sandbox.has_value() && there.sandbox->ident == ident) there.attached_in = life();
  });
}

void NameWorkload::ToggleFixed() {
  auto name = fixed_.begin();
  std::advance(name, random_.Below(fixed_.size()));
  const auto& [hostname, address] = name->first;
  Fixed& fixed = name->second;
  fixed = {!fixed.there, queue_.time()};
  ApiRequest request = AddNameRequest{kExternName, IpAddress::V4(address), hostname};
  if (!fixed.there) request = RemoveNamesRequest{kExternName, IpAddress::V4(address), hostname};
  host_.Submit(std::move(request), [this](const Reply& reply) {
    if (!reply.status.ok()) trace_.Violation(host_.id(), absl::StrCat("a name is refused: ", reply.status.message()));
  });
}

// Records of names are written behind the answers: what was asked just before a crash may be lost, and no more.
void NameWorkload::NoticeCrash() {
  if (std::exchange(seen_life_, life()) != life()) {
    for (auto& [key, fixed] : fixed_) {
      const bool durable = host_.disk().durable().contains(NameKey(kExternName, IpAddress::V4(key.second), key.first));
      if (durable == fixed.there) continue;
      if (fixed.since + kDurableWithin < seen_up_)
        trace_.Violation(host_.id(), absl::StrCat("a crash has undone what was asked of ", key.first, " long before"));
      fixed.there = durable;
    }
    AskForHolders();
  }
  seen_up_ = queue_.time();
}

// As the daemon does it after a start.
void NameWorkload::AskForHolders() {
  for (const std::string& holder : host_.core().NameHoldersToCheck()) {
    const bool lives = std::any_of(containers_.begin(), containers_.end(), [&](const Container& container) {
      return container.sandbox.has_value() && container.sandbox->ident == holder;
    });
    if (!lives) host_.Submit(RemoveNamesRequest{holder, {}, {}}, [](const Reply&) {});
  }
}

bool NameWorkload::settled() const {
  if (!host_.up()) return true;
  return seen_life_ == life() && std::all_of(containers_.begin(), containers_.end(), [this](const Container& c) {
           return !c.asking && (!c.sandbox.has_value() || c.attached_in == life());
         });
}

void NameWorkload::AddExpected(LiveNames& names) const {
  const PeerName self = SimHost::NameOf(host_.id());
  for (const Container& container : containers_)
    if (container.sandbox.has_value()) names.insert({self, container.hostname, container.address});
  for (const auto& [key, fixed] : fixed_)
    if (fixed.there) names.insert({self, key.first, key.second});
}

}  // namespace weave::sim
