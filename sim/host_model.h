// The machine below one simulated peer: containers with their interfaces, the bridge, the packet filter. Executes
// HostCommands with latency and failures, and changes by itself. It outlives the peer's process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/random.h"
#include "peer/core/peer_output.h"
#include "sim/event_queue.h"
#include "sim/trace.h"

namespace weave::sim {

// One life of a container: unique within a host, never reused, unlike its namespace's inode.
using LifeId = std::uint64_t;
inline constexpr LifeId kBridgeLife = 0;  // where an observer hears of the bridge's addresses

struct HostModelOptions {
  Duration min_latency = absl::Microseconds(100);  // of each half of a command: until it is done, until it is reported
  Duration max_latency = absl::Milliseconds(20);
  Duration max_notice_latency = absl::Milliseconds(50);  // of EndpointGone and BridgeLost
  std::uint32_t failure_permille = 0;                    // commands that fail

  bool forget_undo = false;      // mutant: a failed attach leaves its addresses
  bool detach_lies = false;      // mutant: detach reports before it acts
  bool lose_notices = false;     // mutant: nobody hears of a container's end
  bool inventory_blind = false;  // mutant: a start finds no interface
  bool survey_blind = false;     // mutant: a look between starts finds none either
  bool survey_fails = false;     // mutant: nobody looks between starts
};

// Hears of every change at the instant it happens.
class HostObserver {
 public:
  virtual ~HostObserver() = default;
  virtual void OnAddressAdded(LifeId life, const Cidr& address) = 0;
  // `by_force`: the bridge was deleted or the machine rebooted; nobody asked for it.
  virtual void OnAddressRemoved(LifeId life, const Cidr& address, bool by_force) = 0;
  virtual void OnLifeEnded(LifeId life) = 0;
};

class HostModel {
 public:
  struct Interface {
    EndpointLink link;
    std::vector<Cidr> addresses;
    bool in_bridge = false;
    std::string holder = {};  // whose it is, as noted on it; empty: of `weave attach`
  };

  struct Sandbox {
    LifeId life = 0;
    std::string ident;  // of the container
    std::optional<Interface> interface;
  };

  struct Bridge {
    std::vector<Cidr> addresses;
  };

  using Done = absl::AnyInvocable<void(HostResult)>;
  using Notify = absl::AnyInvocable<void(const HostChange&)>;

  // References outlive the model.
  HostModel(HostId host, HostModelOptions options, EventQueue& queue, Random random, Trace& trace,
            HostObserver& observer);

  // ---- the peer's side ----
  void Execute(HostCommand command, Done done);
  HostInventory Inventory(const std::vector<EndpointRecord>& records) const;
  // Where notices go; they are lost while there is no listener.
  void Listen(Notify notify) { notify_ = std::move(notify); }
  // The process died. A command under way has not happened, has happened in part, or wholly; nobody is told.
  void PeerCrashed();

  // ---- the world's side ----
  // A container starts. The inode is the lowest free one, as the kernel does it: soon used again.
  SandboxRef Start(const std::string& ident);
  // Its network namespace and interface vanish. An unknown inode: nothing.
  void Kill(std::uint64_t netns_inode);
  // Somebody else puts an interface with this address into the bridge, and notes on it whose it is: the container's
  // ident. False: there is no bridge, or no such namespace.
  bool AddGuest(std::uint64_t netns_inode, const Cidr& address);
  void DeleteBridge();
  // Everything is gone and the boot id is another.
  void Reboot();
  void SetFailurePermille(std::uint32_t permille) { options_.failure_permille = permille; }
  void Heal() { options_.failure_permille = 0; }

  // Puts an address where the peer did not ask for it; for directed tests.
  void ForceAddress(std::uint64_t netns_inode, const Cidr& address);
  void ForceBridgeAddress(const Cidr& address);

  // ---- looking ----
  std::string boot_id() const;
  const absl::btree_map<std::uint64_t, Sandbox>& sandboxes() const { return sandboxes_; }
  const Sandbox* FindLife(LifeId life) const;
  const std::optional<Bridge>& bridge() const { return bridge_; }
  bool filter_ready() const { return filter_ready_; }
  bool idle() const { return running_.empty(); }

  // By which path a caller may name a life: /proc/<n>/ns/net, or the same namespace bound elsewhere.
  static std::string PathOf(LifeId life, bool bound = false);

 private:
  struct Running {
    HostAction action;
    bool done = false;  // the effect happened; only the report is under way
    HostResult result;
  };

  Sandbox* Find(const SandboxRef& ref);
  const Sandbox* Find(const SandboxRef& ref) const;

  // How much of an action happens.
  enum class Extent { kAll, kPart };
  HostResult Perform(const HostAction& action);
  HostResult Attach(const AttachEndpoint& attach, Extent extent);
  HostResult Detach(const DetachEndpoint& detach, Extent extent);
  HostResult Inspect(const InspectEndpoint& inspect) const;
  HostResult Sync(const SyncHost& sync, Extent extent);
  HostResult TearDown(const TearDownHost& tear_down, Extent extent);
  HostResult Survey(const SurveyAddresses& survey) const;
  HostResult Apply(const HostAction& action, Extent extent);

  void AddAddress(Sandbox& sandbox, const Cidr& address);
  void RemoveInterface(Sandbox& sandbox, bool by_force);
  void RemoveBridge(bool by_force);
  void Tell(HostChange change);

  const HostId host_;
  HostModelOptions options_;
  EventQueue& queue_;
  Random random_;
  Random survey_random_;  // its own: seeds keep their stories
  Trace& trace_;
  HostObserver& observer_;
  Notify notify_;

  absl::btree_map<std::uint64_t, Sandbox> sandboxes_;  // by inode
  std::optional<Bridge> bridge_;
  bool filter_ready_ = false;
  LifeId last_life_ = 0;
  std::uint64_t boot_ = 1;
  std::uint64_t next_mac_ = 1;
  std::uint64_t incarnation_ = 0;
  absl::btree_map<CommandId, Running> running_;
};

}  // namespace weave::sim
