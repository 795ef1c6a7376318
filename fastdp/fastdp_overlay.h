// The kernel's path: frames in VXLAN tunnels that Open vSwitch fills and empties by itself (spec/overlay.md section 3).
// What decides whether the tunnel to a neighbour works is here; what goes through it is Datapath's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/time.h"
#include "fastdp/fastdp_command.h"
#include "fastdp/fastdp_connection.h"
#include "overlay/connection_table.h"
#include "overlay/sub_overlay.h"

namespace weave {

class FastdpOverlay final : public SubOverlay {
 public:
  // References outlive the overlay.
  FastdpOverlay(const FastdpConfig& config, EntropySource& entropy, Logger& logger)
      : config_(config), entropy_(entropy), logger_(logger), interfaces_{config.mtu, false} {}

  absl::string_view name() const override { return "fastdp"; }
  Way way() const override { return Way::kFastdp; }
  absl::Status Prepare(Now now, const OverlayConnection& connection) override;
  void Confirm(Now now, ConnectionId connection) override;
  void OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) override;
  void Stop(Now now, ConnectionId connection) override;
  absl::btree_map<std::string, std::string> Attributes(ConnectionId connection) const override;
  std::optional<MonotonicTime> NextDeadline() const override { return connections_.NextDeadline(); }
  void OnTimer(Now now) override;
  std::vector<SubOverlayEvent> TakeEvents() override { return std::exchange(output_.events, {}); }
  // What the datapath shall do, in this order.
  std::vector<FastdpCommand> TakeCommands() { return std::exchange(output_.commands, {}); }
  // What the kernel shall have of keys, in this order.
  std::vector<IpsecCommand> TakeIpsecCommands() { return std::exchange(output_.ipsec, {}); }

  // What came of those commands. Late ones, of connections that have ended, are ignored, as below.
  void OnIpsec(Now now, const IpsecNotice& notice);

  // From the datapath.
  void OnHeartbeat(Now now, const FastdpHeartbeatReceived& heartbeat);
  void OnPathMtu(Now now, const FastdpPathMtu& path_mtu);
  void OnTunnelPort(Now now, const FastdpTunnelPort& port);
  // From the host. Until then they are taken to be as the tunnels must carry.
  void OnInterfaces(const FastdpInterfaces& interfaces);

  // Whether a connection may say something else of its health and MTU since the last call.
  bool TakeTouched() { return std::exchange(touched_, false); }

  const FastdpControlCounters& counters() const { return counters_; }
  bool searches_mtu() const { return config_.search; }
  // Null when it was not prepared or is stopped.
  const FastdpConnection* Find(ConnectionId connection) const { return connections_.Find(connection); }

 private:
  template <typename Call>
  void Touch(ConnectionId connection, Call call) {
    touched_ = true;
    connections_.With(connection, call);
  }

  const FastdpConfig config_;
  EntropySource& entropy_;
  Logger& logger_;
  FastdpInterfaces interfaces_;
  FastdpControlCounters counters_;
  ConnectionTable<FastdpConnection> connections_;
  absl::btree_map<std::uint64_t, ConnectionId> by_uid_;
  FastdpOutput output_;
  bool touched_ = false;
};

}  // namespace weave
