#include "peer/fast_path.h"

#include <utility>

#include "base/status.h"
#include "fastdp/os/ipsec_leftovers.h"
#include "fastdp/os/ovs_dpif.h"
#include "host/bridge.h"

namespace weave {

static_assert(kDefaultTunnelMtu == kFastdpMtu, "tunnels must carry what interfaces have unless more is known");

FastPath::FastPath(EventLoop& loop, NetworkPort& network, Logger& logger)
    : loop_(loop), network_(network), logger_(logger), open_again_(loop.MakeTimer([this] { OpenDatapath(); })) {}

std::optional<FastdpConfig> MakeFastdpConfig(const WeaverOptions& options, const BridgePlan& plan, PeerName self) {
  if (plan.kind == BridgeKind::kBridge) return std::nullopt;
  return FastdpConfig{self, static_cast<std::uint16_t>(options.port + 1),
                      options.mtu != 0 ? static_cast<std::size_t>(options.mtu) : kDefaultTunnelMtu,
                      /*search=*/options.mtu == 0};
}

absl::StatusOr<std::unique_ptr<FastPath>> FastPath::Create(EventLoop& loop, const WeaverOptions& options,
                                                           const PacketFilter& filter, HostExecutor& host,
                                                           NetworkPort& network, Logger& logger) {
  std::unique_ptr<FastPath> path(new FastPath(loop, network, logger));
  absl::StatusOr<std::unique_ptr<EspKernel>> esp = EspKernel::Open();
  IpsecLeftovers leftovers;
  if (esp.ok()) {
    ASSIGN_OR_RETURN(leftovers, FindIpsecLeftovers(**esp, filter, static_cast<std::uint16_t>(options.port + 1)));
  } else {
    logger.Info("encrypted connections go by sleeve alone", {{"reason", esp.status().message()}});
  }
  path->keeper_ = std::make_unique<IpsecKeeper>(
      loop, std::move(esp), leftovers,
      [&host](std::vector<IpsecPath> paths, absl::AnyInvocable<void(absl::Status)> done) {
        host.SetIpsecPaths(std::move(paths), std::move(done));
      },
      [&network](const IpsecNotice& notice) { network.Tell(notice); }, logger);
  network.SetIpsecKeeper(*path->keeper_);
  return path;
}

void FastPath::OnDatapath(const DatapathReady& ready) {
  datapath_ = ready.name;
  OpenDatapath();
}

void FastPath::OpenDatapath() {
  open_again_->Disarm();
  absl::StatusOr<std::unique_ptr<OvsDpif>> dpif = OvsDpif::Open(datapath_, logger_);
  if (dpif.ok()) return network_.Attach(*std::move(dpif));
  logger_.Error("the kernel's datapath cannot be used: no frames pass between hosts; tried again in a while",
                {{"datapath", datapath_}, {"reason", dpif.status().message()}});
  open_again_->Arm(loop_.now().monotonic + kOpenAgain);
}

}  // namespace weave
