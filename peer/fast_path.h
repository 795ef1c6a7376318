// The fast data path of a running peer: the kernel's datapath for the data path's thread, and the kernel's keys for
// connections that have one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "fastdp/fastdp_connection.h"
#include "fastdp/os/ipsec_keeper.h"
#include "host/packet_filter.h"
#include "io/event_loop.h"
#include "peer/bridge_plan.h"
#include "peer/flags.h"
#include "peer/host_executor.h"
#include "peer/network_port.h"

namespace weave {

// None where the plan has no datapath.
std::optional<FastdpConfig> MakeFastdpConfig(const WeaverOptions& options, const BridgePlan& plan, PeerName self);

// Loop thread only.
class FastPath {
 public:
  // Looks at what an earlier run left in the kernel, for as long as a program takes to list the packet filter's rules:
  // before the loop runs, and before the host is first synchronised. References outlive this.
  static absl::StatusOr<std::unique_ptr<FastPath>> Create(EventLoop& loop, const WeaverOptions& options,
                                                          const PacketFilter& filter, HostExecutor& host,
                                                          NetworkPort& network, Logger& logger);
  FastPath(const FastPath&) = delete;
  FastPath& operator=(const FastPath&) = delete;

  // The host has this datapath from now on. When the kernel refuses it, it is asked again every kOpenAgain.
  void OnDatapath(const DatapathReady& ready);

 private:
  static constexpr Duration kOpenAgain = absl::Seconds(10);

  FastPath(EventLoop& loop, NetworkPort& network, Logger& logger);
  void OpenDatapath();

  EventLoop& loop_;
  NetworkPort& network_;
  Logger& logger_;
  std::string datapath_;
  std::unique_ptr<Timer> open_again_;
  std::unique_ptr<IpsecKeeper> keeper_;
};

}  // namespace weave
