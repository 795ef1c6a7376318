#include "sim/datagrams.h"

#include <utility>

#include "sim/mesh_transport.h"

namespace weave::sim {
namespace {

constexpr std::size_t kHeaderSize = 28;  // IPv4 and UDP

}  // namespace

void Datagrams::Heal() {
  healed_ = true;
  blocked_.clear();
  absl::erase_if(paths_, [](const auto& path) { return path.second.mtu_bytes < kLeastPathMtu; });
}

Datagrams::Path Datagrams::PathOf(HostId from, HostId to) const {
  const auto path = paths_.find({from, to});
  return path == paths_.end() ? Path{options_.path_mtu_bytes, false} : path->second;
}

void Datagrams::Send(Datagram datagram) {
  const std::optional<HostId> from = HostOf(datagram.local.ip);
  const std::optional<HostId> to = HostOf(datagram.remote.ip);
  if (!from.has_value() || !to.has_value()) return;
  const Duration latency = Draw(random_, options_.min_latency, options_.max_latency);
  const Path path = PathOf(*from, *to);
  if (datagram.dont_fragment && datagram.payload.size() + datagram.seal_size + kHeaderSize > path.mtu_bytes) {
    if (path.silent && datagram.tunnelled) return;
    if (!datagram.tunnelled) ++too_large_count_;
    queue_.AfterInBackground(absl::ZeroDuration(), [this, local = datagram.local, remote = datagram.remote, path] {
      const auto listener = listeners_.find(local);
      if (listener != listeners_.end()) listener->second.too_big(remote, path.mtu_bytes);
    });
    return;
  }
  if ((!healed_ && random_.Chance(options_.loss_permille, 1000)) || transport_.Blocked(*from, *to) ||
      blocked_.contains({*from, *to, datagram.remote.port}))
    return;
  queue_.AfterInBackground(latency, [this, datagram = std::move(datagram)] {
    const auto listener = listeners_.find(datagram.remote);
    if (listener != listeners_.end()) listener->second.received(datagram.local, datagram.payload);
  });
}

}  // namespace weave::sim
