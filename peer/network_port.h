// The sockets of the mesh and the data path: carries what the core wants sent, and tells it what arrives
// (peer/core/network_event.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "fastdp/os/ipsec_keeper.h"
#include "io/event_loop.h"
#include "io/tcp_transport.h"
#include "mesh/topology.h"
#include "peer/core/network_event.h"
#include "peer/data_path_thread.h"
#include "peer/report.h"

namespace weave {

struct NetworkPortOptions {
  PeerName name;
  std::optional<IpAddress> host;  // where to listen and send from; none: every address
  std::uint16_t port = 6783;      // TCP and UDP
  bool packet_debug = false;      // logs every frame
};

// Loop thread only.
class NetworkPort final : public TransportEvents {
 public:
  // Called for everything that happens, never from within a call of this class.
  using OnEvent = absl::AnyInvocable<void(const NetworkEvent&)>;
  // The same; frames of this host do not come until the next Attach().
  using OnBridgePortLost = absl::AnyInvocable<void()>;

  // References outlive the port.
  NetworkPort(EventLoop& loop, const NetworkPortOptions& options, OnEvent on_event,
              OnBridgePortLost on_bridge_port_lost, Logger& logger);

  // Takes the ports; an error names the address that is taken or not ours.
  absl::Status Open();

  void Perform(NetworkOutput output);

  // Frames pass between the network and this interface, or this datapath, from now on.
  void Attach(std::unique_ptr<BridgeTap> tap) { data_path_.Attach(std::move(tap)); }
  void Attach(std::unique_ptr<OvsDpif> dpif) { data_path_.Attach(std::move(dpif)); }

  // Who performs what the core wants of keys; outlives the port.
  void SetIpsecKeeper(IpsecKeeper& keeper) { keeper_ = &keeper; }
  // What it has to say.
  void Tell(const IpsecNotice& notice) { on_event_(notice); }

  TcpTransportStats tcp_stats() const { return tcp_.stats(); }
  DataPathStats data_path_stats() const { return data_path_.stats(); }

  // ---- TransportEvents ----
  void OnConnected(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) override;
  void OnAccepted(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) override;
  void OnReceived(std::uint64_t id, ByteView bytes) override;
  void OnWritable(std::uint64_t id) override;
  void OnClosed(std::uint64_t id, const absl::Status& reason) override;

 private:
  const NetworkPortOptions options_;
  OnEvent on_event_;
  OnBridgePortLost on_bridge_port_lost_;
  TcpTransport tcp_;
  DataPathThread data_path_;
  IpsecKeeper* keeper_ = nullptr;  // null: no datapath
};

// The data path as reports show it.
DataPathView MakeDataPathView(const DataPathStats& stats, const Topology& topology, Now now);

}  // namespace weave
