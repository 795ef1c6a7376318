// Performs the core's host commands with the rooms `host/` and reports back on the loop. What blocks runs in a worker;
// the packet filter is kept by FirewallKeeper.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/log.h"
#include "fastdp/fastdp_command.h"
#include "host/bridge.h"
#include "host/firewall_keeper.h"
#include "host/firewall_rules.h"
#include "host/netlink.h"
#include "host/packet_filter.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"
#include "peer/core/peer_output.h"
#include "sleeve/os/bridge_tap.h"

namespace weave {

// The datapath that carries the containers' frames, with everything in it that is this host's part.
struct DatapathReady {
  std::string name;
  int index = 0;  // of the device that has its name; another one: it was made anew

  friend bool operator==(const DatapathReady&, const DatapathReady&) = default;
};

struct HostExecutorOptions {
  BridgeSpec bridge;                                  // of the kind to run
  FirewallConfig firewall;                            // without exposures: those come with each SyncHost
  std::size_t capture_buffer_size = 8 * 1024 * 1024;  // bytes
  // Gets the tap on the bridge when it was made, and each time it was made anew; on the loop.
  std::function<void(std::unique_ptr<BridgeTap>)> on_tap;
  // The same for the kinds with a datapath, which have no tap; before the SyncHost that made it is answered.
  std::function<void(const DatapathReady&)> on_datapath;
  // Gets what containers' interfaces have, and whenever that is something else; on the loop.
  std::function<void(const FastdpInterfaces&)> on_interfaces;
};

// Loop thread only; one command of a kind at a time is the core's business, several run one after the other. Destroying
// it waits for the command that runs; later answers are dropped.
class HostExecutor {
 public:
  using Done = absl::AnyInvocable<void(const HostResult&)>;

  // `netlink` and everything else passed by reference outlive this.
  HostExecutor(EventLoop& loop, Netlink& netlink, PacketFilter filter, HostExecutorOptions options, Logger& logger);
  ~HostExecutor();
  HostExecutor(const HostExecutor&) = delete;
  HostExecutor& operator=(const HostExecutor&) = delete;

  // `done` is called once, on the loop, in a later turn.
  void Execute(HostAction action, Done done);

  // Takes our rules out of the packet filter's other back end, which an earlier start or 2.8 may have used. Nobody
  // waits.
  void RemoveForeignRules();

  // Of the bridge and of the containers that come, where BridgeSpec::mtu_follows_containers allows it: at once, or when
  // no container is left; before the first SyncHost, with that. For the kinds with a datapath. Nobody waits.
  void SetInterfaceMtu(std::uint32_t mtu_bytes);
  // A container has left.
  void FitInterfaceMtu();

  // The paths over ESP whose rules are wanted besides those of SyncHost (FirewallKeeper). Cancelled after a tear-down,
  // which takes the rules away.
  void SetIpsecPaths(std::vector<IpsecPath> paths, FirewallKeeper::Done done);

  // Calls `found`, on the loop and before the first SyncHost is answered, when the host's packet filter has
  // kForwardReject. To be asked before anything is executed.
  void LookForForwardReject(absl::AnyInvocable<void()> found);

  const FirewallConfig& firewall() const { return options_.firewall; }
  FirewallBackend firewall_backend() const { return filter_.backend(); }
  std::uint64_t firewall_reapplied_count() const { return keeper_ == nullptr ? 0 : keeper_->reapplied_count(); }

 private:
  struct Alive {};

  void InWorker(absl::AnyInvocable<HostResult()> work, Done done);
  void Sync(SyncHost action, Done done);
  HostResult SyncBridge(const SyncHost& action);
  absl::StatusOr<BridgeState> SyncDevices();
  absl::Status SyncTap(const BridgeState& bridge);
  void TellOfDatapath(DatapathReady ready);
  void TellOfInterfaces(const BridgeState& bridge);
  HostResult Attach(const AttachEndpoint& action);
  HostResult Detach(const DetachEndpoint& action);
  HostResult Inspect(const InspectEndpoint& action);
  HostResult Survey(const SurveyAddresses& action);
  HostResult TearDown(const TearDownHost& action);
  FirewallOwner Owner() const;

  EventLoop& loop_;
  Netlink& netlink_;
  const PacketFilter filter_;
  HostExecutorOptions options_;  // of `bridge` the MTU belongs to the host worker
  Logger& logger_;
  std::shared_ptr<Alive> alive_ = std::make_shared<Alive>();
  int tapped_index_ = 0;              // the interface that the last tap is on; host worker
  DatapathReady told_;                // the last that on_datapath heard; host worker
  FastdpInterfaces told_interfaces_;  // the same of on_interfaces
  std::unique_ptr<FirewallKeeper> keeper_;
  WorkerPool firewall_workers_;
  WorkerPool workers_;  // last member: joined first
};

// What the host looks like at a start: the bridge's addresses, which endpoints on record are alive, and what is on
// container interfaces in the bridge that are on no record. Runs in the calling thread.
absl::StatusOr<HostInventory> TakeInventory(Netlink& netlink, absl::string_view bridge,
                                            const std::vector<Record>& records, const std::string& proc_path,
                                            Logger& logger);

}  // namespace weave
