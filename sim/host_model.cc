#include "sim/host_model.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/attachment.h"
#include "base/check.h"

namespace weave::sim {
namespace {

constexpr std::uint64_t kFirstInode = 4026532000;  // about where Linux begins

bool Contains(const std::vector<Cidr>& addresses, const Cidr& address) {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

absl::Status Injected() { return absl::InternalError("injected failure"); }

}  // namespace

HostModel::HostModel(HostId host, HostModelOptions options, EventQueue& queue, Random random, Trace& trace,
                     HostObserver& observer)
    : host_(host),
      options_(options),
      queue_(queue),
      random_(random),
      survey_random_(random.Split("survey")),
      trace_(trace),
      observer_(observer) {}

std::string HostModel::boot_id() const { return absl::StrCat("boot-", boot_); }

std::string HostModel::PathOf(LifeId life, bool bound) {
  return bound ? absl::StrCat("/run/netns/", life) : absl::StrCat("/proc/", life, "/ns/net");
}

const HostModel::Sandbox* HostModel::FindLife(LifeId life) const {
  for (const auto& [inode, sandbox] : sandboxes_)
    if (sandbox.life == life) return &sandbox;
  return nullptr;
}

// As the shell does it: the path must lead to a namespace, and that must be the one meant.
const HostModel::Sandbox* HostModel::Find(const SandboxRef& ref) const {
  const auto entry = sandboxes_.find(ref.netns_inode);
  if (entry == sandboxes_.end()) return nullptr;
  const LifeId life = entry->second.life;
  return ref.netns_path == PathOf(life) || ref.netns_path == PathOf(life, true) ? &entry->second : nullptr;
}

HostModel::Sandbox* HostModel::Find(const SandboxRef& ref) {
  return const_cast<Sandbox*>(std::as_const(*this).Find(ref));
}

// ---- the peer's side ----

void HostModel::Execute(HostCommand command, Done done) {
  const CommandId id = command.id;
  trace_.Note(host_, "command", id, command.action.index());
  const bool lies = options_.detach_lies && std::holds_alternative<DetachEndpoint>(command.action);
  Random& random = std::holds_alternative<SurveyAddresses>(command.action) ? survey_random_ : random_;
  running_[id] = {std::move(command.action), false, {}};
  Duration until_done = Draw(random, options_.min_latency, options_.max_latency);
  const Duration until_told = until_done + Draw(random, options_.min_latency, options_.max_latency);
  if (lies) until_done = until_told + absl::Milliseconds(100);
  queue_.After(until_done, [this, id, incarnation = incarnation_] {
    if (incarnation != incarnation_) return;
    Running& due = running_.at(id);
    due.result = Perform(due.action);
    due.done = true;
    trace_.Note(host_, "done", id, static_cast<int>(due.result.status.code()), due.result.present);
  });
  queue_.After(until_told, [this, id, incarnation = incarnation_, done = std::move(done)]() mutable {
    if (incarnation != incarnation_) return;
    const auto entry = running_.find(id);
    HostResult result = entry->second.result;
    if (entry->second.done) running_.erase(entry);
    done(std::move(result));
  });
}

HostResult HostModel::Perform(const HostAction& action) {
  if (const auto* survey = std::get_if<SurveyAddresses>(&action)) {
    const bool fails = survey_random_.Chance(options_.failure_permille, 1000) || options_.survey_fails;
    return fails ? HostResult{Injected(), {}, false} : Survey(*survey);
  }
  if (!random_.Chance(options_.failure_permille, 1000)) return Apply(action, Extent::kAll);
  // An attach undoes what it made; the others may stop anywhere.
  if (std::holds_alternative<AttachEndpoint>(action)) {
    if (options_.forget_undo) Apply(action, Extent::kPart);
  } else if (random_.Chance(1, 2)) {
    Apply(action, Extent::kPart);
  }
  return {Injected(), {}, false};
}

HostResult HostModel::Apply(const HostAction& action, Extent extent) {
  if (const auto* attach = std::get_if<AttachEndpoint>(&action)) return Attach(*attach, extent);
  if (const auto* detach = std::get_if<DetachEndpoint>(&action)) return Detach(*detach, extent);
  if (const auto* inspect = std::get_if<InspectEndpoint>(&action)) return Inspect(*inspect);
  if (const auto* sync = std::get_if<SyncHost>(&action)) return Sync(*sync, extent);
  if (std::holds_alternative<SurveyAddresses>(action)) return {};  // changes nothing
  return TearDown(std::get<TearDownHost>(action), extent);
}

HostResult HostModel::Attach(const AttachEndpoint& attach, Extent extent) {
  Sandbox* sandbox = Find(attach.endpoint.sandbox);
  if (sandbox == nullptr) return {absl::NotFoundError("the sandbox is gone"), {}, false};
  if (!bridge_.has_value()) return {absl::NotFoundError("there is no bridge"), {}, false};
  if (!sandbox->interface.has_value()) {
    sandbox->interface = Interface{};
    const std::uint64_t mac = next_mac_++;
    sandbox->interface->link.mac = PeerName(0x0200'0000'0000 | mac).ToMac();
    sandbox->interface->link.host_ifname = absl::StrCat("vethwepl", attach.endpoint.sandbox.ident.substr(0, 7));
    // Two endpoints whose ids start alike: variants of the name, as host/endpoint.h has it.
    for (const auto& [inode, other] : sandboxes_)
      if (&other != sandbox && other.interface.has_value() &&
          other.interface->link.host_ifname == sandbox->interface->link.host_ifname)
        absl::StrAppend(&sandbox->interface->link.host_ifname, "-", mac);
  }
  sandbox->interface->in_bridge = true;
  std::size_t count = attach.endpoint.addresses.size();
  if (extent == Extent::kPart) count = random_.Below(count + 1);
  for (std::size_t i = 0; i < count; ++i)
    if (!Contains(sandbox->interface->addresses, attach.endpoint.addresses[i]))
      AddAddress(*sandbox, attach.endpoint.addresses[i]);
  return {absl::OkStatus(), sandbox->interface->link, true};
}

HostResult HostModel::Detach(const DetachEndpoint& detach, Extent extent) {
  Sandbox* sandbox = Find(detach.endpoint.sandbox);
  if (sandbox == nullptr || !sandbox->interface.has_value()) return {absl::OkStatus(), {}, false};
  std::size_t count = detach.addresses.size();
  if (extent == Extent::kPart) count = random_.Below(count + 1);
  for (std::size_t i = 0; i < count; ++i) {
    if (std::erase(sandbox->interface->addresses, detach.addresses[i]) == 0) continue;
    trace_.Note(host_, "address off", sandbox->life, detach.addresses[i].ToString());
    observer_.OnAddressRemoved(sandbox->life, detach.addresses[i], false);
  }
  if (extent == Extent::kAll && detach.remove_interface) RemoveInterface(*sandbox, false);
  return {absl::OkStatus(), {}, sandbox->interface.has_value()};
}

HostResult HostModel::Inspect(const InspectEndpoint& inspect) const {
  const Sandbox* sandbox = Find(inspect.endpoint.sandbox);
  return {absl::OkStatus(), {}, sandbox != nullptr && sandbox->interface.has_value()};
}

HostResult HostModel::Sync(const SyncHost& sync, Extent extent) {
  if (!bridge_.has_value()) bridge_ = Bridge{};
  for (const Cidr& retired : sync.retired)
    if (std::erase(bridge_->addresses, retired) > 0) {
      trace_.Note(host_, "bridge address off", retired.ToString());
      observer_.OnAddressRemoved(kBridgeLife, retired, false);
    }
  for (const ExposureRecord& exposure : sync.exposures) {
    if (extent == Extent::kPart && random_.Chance(1, 2)) return {Injected(), {}, false};
    if (Contains(bridge_->addresses, exposure.cidr)) continue;
    bridge_->addresses.push_back(exposure.cidr);
    trace_.Note(host_, "bridge address on", exposure.cidr.ToString());
    observer_.OnAddressAdded(kBridgeLife, exposure.cidr);
  }
  for (auto& [inode, sandbox] : sandboxes_)
    if (sandbox.interface.has_value() &&
        std::find(sync.ports.begin(), sync.ports.end(), sandbox.interface->link.host_ifname) != sync.ports.end())
      sandbox.interface->in_bridge = true;
  filter_ready_ = true;
  return {absl::OkStatus(), {}, false};
}

HostResult HostModel::Survey(const SurveyAddresses& survey) const {
  AddressSurvey found;
  found.complete = true;
  if (bridge_.has_value())
    for (const Cidr& address : bridge_->addresses) found.present.insert(address.address());
  for (const auto& [inode, sandbox] : sandboxes_) {
    if (!sandbox.interface.has_value() || options_.survey_blind) continue;
    const Interface& interface = *sandbox.interface;
    absl::StrAppend(&found.ports, interface.link.host_ifname, " ", sandbox.life, " ", interface.in_bridge, "\n");
    if (!interface.holder.empty()) found.attachments.insert(interface.holder);
    for (const Cidr& address : interface.addresses) {
      found.present.insert(address.address());
      if (interface.in_bridge)
        found.in_use.push_back({interface.holder.empty() ? kUnknownHolder : interface.holder, address});
    }
  }
  HostResult result;
  if (survey.thorough || found.ports != survey.ports) result.survey = std::move(found);
  return result;
}

HostResult HostModel::TearDown(const TearDownHost& tear_down, Extent extent) {
  for (const EndpointRecord& endpoint : tear_down.endpoints) {
    if (extent == Extent::kPart && random_.Chance(1, 2)) return {Injected(), {}, false};
    if (Sandbox* sandbox = Find(endpoint.sandbox); sandbox != nullptr) RemoveInterface(*sandbox, false);
  }
  // With the bridge goes whatever of ours or of guests hangs on it, or did.
  for (auto& [inode, sandbox] : sandboxes_)
    if (sandbox.interface.has_value() && (sandbox.interface->in_bridge || !sandbox.interface->holder.empty()))
      RemoveInterface(sandbox, false);
  RemoveBridge(false);
  filter_ready_ = false;
  return {absl::OkStatus(), {}, false};
}

void HostModel::AddAddress(Sandbox& sandbox, const Cidr& address) {
  sandbox.interface->addresses.push_back(address);
  trace_.Note(host_, "address on", sandbox.life, address.ToString());
  observer_.OnAddressAdded(sandbox.life, address);
}

void HostModel::RemoveInterface(Sandbox& sandbox, bool by_force) {
  if (!sandbox.interface.has_value()) return;
  Interface removed = *std::exchange(sandbox.interface, std::nullopt);
  for (const Cidr& address : removed.addresses) observer_.OnAddressRemoved(sandbox.life, address, by_force);
  trace_.Note(host_, "interface gone", sandbox.life, removed.link.host_ifname);
  Tell(EndpointGone{removed.link.host_ifname});
  if (!removed.holder.empty()) Tell(PortsChanged{});
}

void HostModel::RemoveBridge(bool by_force) {
  if (!bridge_.has_value()) return;
  const Bridge removed = *std::exchange(bridge_, std::nullopt);
  for (const Cidr& address : removed.addresses) observer_.OnAddressRemoved(kBridgeLife, address, by_force);
  for (auto& [inode, sandbox] : sandboxes_)
    if (sandbox.interface.has_value()) sandbox.interface->in_bridge = false;
  Tell(BridgeLost{});
}

void HostModel::Tell(HostChange change) {
  if (options_.lose_notices) return;
  queue_.After(Draw(random_, absl::ZeroDuration(), options_.max_notice_latency),
               [this, incarnation = incarnation_, change = std::move(change)] {
                 if (incarnation == incarnation_ && notify_) notify_(change);
               });
}

HostInventory HostModel::Inventory(const std::vector<EndpointRecord>& records) const {
  HostInventory inventory;
  if (bridge_.has_value()) inventory.bridge_addresses = bridge_->addresses;
  if (options_.inventory_blind) return inventory;
  for (const auto& [inode, sandbox] : sandboxes_)
    if (sandbox.interface.has_value() && sandbox.interface->in_bridge && !sandbox.interface->holder.empty())
      for (const Cidr& address : sandbox.interface->addresses)
        inventory.in_use.push_back({sandbox.interface->holder, address});
  for (const EndpointRecord& record : records) {
    if (record.boot_id != boot_id()) continue;
    const Sandbox* sandbox = Find(record.sandbox);
    if (sandbox == nullptr || !sandbox->interface.has_value()) continue;
    inventory.endpoints.push_back(
        {record.sandbox.netns_inode, sandbox->interface->link, sandbox->interface->addresses});
  }
  return inventory;
}

void HostModel::PeerCrashed() {
  ++incarnation_;
  notify_ = nullptr;
  for (auto& [id, running] : std::exchange(running_, {})) {
    if (running.done) continue;
    switch (random_.Below(3)) {
      case 0:
        break;
      case 1:
        Apply(running.action, Extent::kPart);
        break;
      case 2:
        Apply(running.action, Extent::kAll);
        break;
    }
  }
}

// ---- the world's side ----

SandboxRef HostModel::Start(const std::string& ident) {
  std::uint64_t inode = kFirstInode;
  while (sandboxes_.contains(inode)) ++inode;
  const LifeId life = ++last_life_;
  sandboxes_[inode] = {life, ident, std::nullopt};
  trace_.Note(host_, "container starts", ident, life, inode);
  return {ident, PathOf(life), inode};
}

void HostModel::Kill(std::uint64_t netns_inode) {
  const auto entry = sandboxes_.find(netns_inode);
  if (entry == sandboxes_.end()) return;
  trace_.Note(host_, "container ends", entry->second.life);
  RemoveInterface(entry->second, true);
  observer_.OnLifeEnded(entry->second.life);
  sandboxes_.erase(entry);
}

bool HostModel::AddGuest(std::uint64_t netns_inode, const Cidr& address) {
  const auto entry = sandboxes_.find(netns_inode);
  if (!bridge_.has_value() || entry == sandboxes_.end()) return false;
  Sandbox& sandbox = entry->second;
  sandbox.interface = Interface{{MacAddress(), absl::StrCat("vethguest", sandbox.life)}, {}, true, sandbox.ident};
  AddAddress(sandbox, address);
  Tell(PortsChanged{});
  return true;
}

void HostModel::DeleteBridge() {
  trace_.Note(host_, "bridge deleted");
  RemoveBridge(true);
}

void HostModel::Reboot() {
  trace_.Note(host_, "reboot");
  CHECK(running_.empty()) << "the peer has not crashed";
  while (!sandboxes_.empty()) Kill(sandboxes_.begin()->first);
  RemoveBridge(true);
  filter_ready_ = false;
  ++boot_;
}

void HostModel::ForceAddress(std::uint64_t netns_inode, const Cidr& address) {
  AddAddress(sandboxes_.at(netns_inode), address);
}

void HostModel::ForceBridgeAddress(const Cidr& address) {
  CHECK(bridge_.has_value());
  bridge_->addresses.push_back(address);
  observer_.OnAddressAdded(kBridgeLife, address);
}

}  // namespace weave::sim
