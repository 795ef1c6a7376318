#include "peer/bridge_plan.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/esp.h"
#include "fastdp/os/ovs_datapath.h"

namespace weave {
namespace {

constexpr char kResetAdvice[] = "Please do 'weave reset' and try again";

BridgeKind Requested(const WeaverOptions& options) {
  if (options.no_fastdp) return BridgeKind::kBridge;
  return options.no_bridged_fastdp ? BridgeKind::kFastdp : BridgeKind::kBridgedFastdp;
}

// The default kind is nobody's wish.
bool AskedByName(const WeaverOptions& options) { return options.no_fastdp || options.no_bridged_fastdp; }

BridgePlan MakePlan(const WeaverOptions& options, BridgeKind kind, BridgeKind existing, std::string fallback_reason) {
  BridgePlan plan{kind, "", existing == BridgeKind::kNone, std::move(fallback_reason)};
  if (kind == BridgeKind::kFastdp) plan.datapath = options.weave_bridge;
  if (kind == BridgeKind::kBridgedFastdp) plan.datapath = DatapathName(options);
  return plan;
}

absl::Status Mismatch(BridgeKind existing, BridgeKind requested) {
  return absl::FailedPreconditionError(absl::StrCat("Existing bridge type \"", ToString(existing),
                                                    "\" is different than requested \"", ToString(requested), "\". ",
                                                    kResetAdvice));
}

}  // namespace

std::string DatapathName(const WeaverOptions& options) {
  if (!options.datapath.empty()) return options.datapath;
  return options.no_bridged_fastdp && !options.no_fastdp ? options.weave_bridge : kDefaultDatapath;
}

absl::StatusOr<BridgePlan> ChooseBridge(const WeaverOptions& options, BridgeKind existing,
                                        absl::FunctionRef<absl::Status()> probe) {
  const BridgeKind requested = Requested(options);
  const bool has_datapath = existing == BridgeKind::kBridgedFastdp || existing == BridgeKind::kFastdp;
  if (has_datapath && existing != requested && AskedByName(options)) return Mismatch(existing, requested);
  if (requested == BridgeKind::kBridge) return MakePlan(options, requested, existing, "");

  const absl::Status supported = probe();
  if (!supported.ok() && has_datapath)
    return absl::FailedPreconditionError(absl::StrCat("Existing bridge type \"", ToString(existing),
                                                      "\" needs what this kernel lacks: ", supported.message(), ". ",
                                                      kResetAdvice));
  if (!supported.ok()) return MakePlan(options, BridgeKind::kBridge, existing, std::string(supported.message()));
  if (existing == BridgeKind::kNone || existing == requested) return MakePlan(options, requested, existing, "");
  if (AskedByName(options)) return Mismatch(existing, requested);
  return MakePlan(options, existing, existing,
                  absl::StrCat("this host has a bridge of type ", ToString(existing), ", which 'weave reset' removes"));
}

absl::StatusOr<BridgePlan> PlanBridge(const WeaverOptions& options, Netlink& netlink) {
  ASSIGN_OR_RETURN(const BridgeKind existing, DetectBridgeKind(netlink, options.weave_bridge, DatapathName(options)));
  return ChooseBridge(options, existing, ProbeOvs);
}

absl::Status RemoveDataPath(Netlink& netlink, const std::string& bridge, const std::string& datapath) {
  RETURN_IF_ERROR(RemoveBridge(netlink, bridge));
  RETURN_IF_ERROR(DeleteOvsDatapath(bridge));
  RETURN_IF_ERROR(DeleteOvsDatapath(datapath));
  return RemoveAllEsp();
}

}  // namespace weave
