// What the allocator (ipam/allocator.h) and the registry of names (dns/name_registry.h) may know of the mesh.
#pragma once

#include <vector>

#include "dns/name_registry.h"
#include "ipam/allocator.h"
#include "mesh/mesh_router.h"

namespace weave {

class MeshDirectory final : public PeerDirectory, public KnownPeers {
 public:
  // The router outlives the directory.
  explicit MeshDirectory(const MeshRouter& mesh) : mesh_(mesh) {}

  bool IsReachable(PeerName peer) const override {
    return peer == mesh_.topology().self() || mesh_.routes().NextHop(Links::kAll, peer).has_value();
  }
  bool IsKnown(PeerName peer) const override { return mesh_.topology().Find(peer) != nullptr; }
  std::size_t DirectPeerCount() const override { return mesh_.ActiveDirectPeerCount(); }
  bool AwaitsFirstAnswer() const override { return mesh_.AwaitsFirstAnswer(); }
  std::vector<PeerName> Neighbours() const override {
    std::vector<PeerName> neighbours;
    for (const ConnectionSummary& connection : mesh_.topology().Find(mesh_.topology().self())->connections)
      neighbours.push_back(connection.peer);
    return neighbours;
  }

 private:
  const MeshRouter& mesh_;
};

}  // namespace weave
