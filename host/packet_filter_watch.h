// Notices that somebody changed the host's packet filter, without running programs. Feeds firewall_keeper.h.
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "host/packet_filter.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"

namespace weave {

// nft: listens to the kernel's announcements. Legacy has none: looks at the table headers once a second, in a worker,
// since the kernel lets nobody look while somebody replaces a large table. Lives on the loop thread, in the network
// namespace of the thread that made it; destroying it stops it. The workers end before the loop does.
class PacketFilterWatch {
 public:
  // `on_change` runs on the loop at most every 100 ms, also after our own changes: the callee compares.
  static absl::StatusOr<std::unique_ptr<PacketFilterWatch>> Start(EventLoop& loop, WorkerPool& workers,
                                                                  FirewallBackend backend,
                                                                  absl::AnyInvocable<void()> on_change);
  virtual ~PacketFilterWatch() = default;

 protected:
  PacketFilterWatch() = default;
};

}  // namespace weave
