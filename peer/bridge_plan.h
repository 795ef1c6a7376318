// Which kind of bridge this peer runs (spec/overlay.md section 6): what the options ask for, what the host has, and
// what its kernel can do.
#pragma once

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "host/bridge.h"
#include "host/netlink.h"
#include "peer/flags.h"

namespace weave {

struct BridgePlan {
  BridgeKind kind = BridgeKind::kBridge;
  std::string datapath;         // name of the datapath; empty: none
  bool created = false;         // nothing of it is there yet
  std::string fallback_reason;  // why it is not the kind that the options ask for; empty: it is
};

// `existing` is what the host has; `probe` tells whether its kernel can do fastdp (ProbeOvs), and is asked only when
// the answer counts.
//
// What the host has is kept where the options leave it open: it carries the containers' flows. Without Open vSwitch the
// plain bridge takes over, unless there is a datapath: then the kernel may still forward by its flows, and only a
// person should end that. FailedPrecondition: the host has another kind than is asked for by name (contract A3-24a), or
// the kernel can no longer do what the host has.
absl::StatusOr<BridgePlan> ChooseBridge(const WeaverOptions& options, BridgeKind existing,
                                        absl::FunctionRef<absl::Status()> probe);

// The same for this host, whose kernel is probed in the calling thread's namespace.
absl::StatusOr<BridgePlan> PlanBridge(const WeaverOptions& options, Netlink& netlink);

// Name of the datapath that the options mean; that of the bridge when it has none beside it.
std::string DatapathName(const WeaverOptions& options);

// Takes bridge, datapath and the interfaces of ours off the host, whatever kind they are of, and then the kernel's keys
// for tunnels. The rules that keep tunnels' packets from leaving in clear are the caller's next. Nothing there is
// success.
absl::Status RemoveDataPath(Netlink& netlink, const std::string& bridge, const std::string& datapath);

}  // namespace weave
