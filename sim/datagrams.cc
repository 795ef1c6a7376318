#include "sim/datagrams.h"

#include <utility>

#include "sim/mesh_transport.h"

namespace weave::sim {
namespace {

constexpr std::size_t kHeaderSize = 28;  // IPv4 and UDP

}  // namespace

void Datagrams::Send(HostId from, Datagram datagram) {
  const std::optional<HostId> to = HostAt(datagram.remote);
  if (!to.has_value()) return;
  const Duration latency = Draw(random_, options_.min_latency, options_.max_latency);
  if (datagram.dont_fragment && datagram.payload.size() + kHeaderSize > options_.path_mtu_bytes) {
    queue_.AfterInBackground(absl::ZeroDuration(), [this, from, remote = datagram.remote] {
      const auto listener = listeners_.find(from);
      if (listener != listeners_.end()) listener->second.too_big(remote, options_.path_mtu_bytes);
    });
    return;
  }
  if ((!healed_ && random_.Chance(options_.loss_permille, 1000)) || transport_.Blocked(from, *to)) return;
  queue_.AfterInBackground(latency, [this, from, to = *to, payload = std::move(datagram.payload)] {
    const auto listener = listeners_.find(to);
    if (listener != listeners_.end()) listener->second.received(MeshAddressOf(from), payload);
  });
}

}  // namespace weave::sim
