// The network part of a peer: the mesh and the data paths below it, and the way effects of one become events of the
// other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/entropy.h"
#include "base/gossiper.h"
#include "base/log.h"
#include "base/time.h"
#include "fastdp/fastdp_overlay.h"
#include "mesh/mesh_router.h"
#include "overlay/overlay_switch.h"
#include "peer/core/network_event.h"
#include "sleeve/sleeve_overlay.h"

namespace weave {

// What an earlier life of the peer knew, as far as it is on record.
struct NetworkMemory {
  std::optional<ShortId> short_id;
  std::optional<std::size_t> interface_mtu;  // see Network::interface_mtu
};

class Network {
 public:
  // A neighbour that comes back is not a path that has become narrower.
  static constexpr Duration kMtuPatience = absl::Seconds(10);

  // References outlive the network.
  // `fastdp`: none where there is no datapath.
  Network(MeshConfig config, const std::optional<FastdpConfig>& fastdp, EntropySource& entropy, Logger& logger);

  // Before Start; see MeshRouter::AddChannel.
  void AddChannel(absl::string_view name, Gossiper& gossiper) { mesh_.AddChannel(name, gossiper); }
  void AddComparingChannel(absl::string_view name, ComparingGossiper& gossiper) {
    mesh_.AddComparingChannel(name, gossiper);
  }

  void Start(Now now, const NetworkMemory& memory, const std::vector<DirectPeer>& peers, NetworkOutput& out);
  // Ends every connection; nothing happens afterwards.
  void Stop(Now now, absl::string_view reason, NetworkOutput& out);

  void OnEvent(Now now, const NetworkEvent& event, NetworkOutput& out);
  void Connect(Now now, const std::vector<DirectPeer>& peers, bool replace, NetworkOutput& out);
  void Forget(Now now, const std::vector<std::string>& peers, NetworkOutput& out);

  // To one peer, or to all; see MeshRouter.
  absl::Status Unicast(Now now, absl::string_view channel, PeerName destination, ByteView payload, NetworkOutput& out);
  void Broadcast(Now now, absl::string_view channel, const GossipData& data, NetworkOutput& out);

  void OnTimer(Now now, NetworkOutput& out);
  std::optional<MonotonicTime> NextDeadline() const;

  const MeshRouter& mesh() const { return mesh_; }
  // Bytes that containers' interfaces shall have, for all paths carry them, or did when there were any; none: that is
  // not for us to say.
  std::optional<std::size_t> interface_mtu() const;

 private:
  // Carries effects between mesh and overlay until there are none, and tells the data path of what changed for it.
  void Settle(Now now, NetworkOutput& out);
  void RefreshForwarding(NetworkOutput& out);
  bool RefreshShortIds();
  void RefreshInterfaceMtu(Now now, NetworkOutput& out);

  std::optional<FastdpOverlay> fastdp_;
  SleeveOverlay sleeve_;
  OverlaySwitch overlay_;
  MeshRouter mesh_;
  // What the data path was told last, and what it was made of.
  ForwardingSnapshotPtr forwarding_;
  std::uint64_t ways_generation_ = 0;
  std::shared_ptr<const ShortIdMap> short_ids_;
  std::uint64_t short_ids_generation_ = 0;
  // What containers' interfaces shall have, and when they shall have less if it stays so.
  std::size_t interface_mtu_ = kDefaultTunnelMtu;
  std::optional<MonotonicTime> lower_mtu_at_;
};

}  // namespace weave
