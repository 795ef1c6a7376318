// UDP as hosts of the simulation see it: datagrams that arrive once, late, out of order, or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <tuple>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/bytes.h"
#include "base/random.h"
#include "base/socket_address.h"
#include "sim/event_queue.h"
#include "sim/transport.h"

namespace weave::sim {

struct DatagramOptions {
  Duration min_latency = absl::Microseconds(50);
  Duration max_latency = absl::Milliseconds(30);
  std::uint32_t loss_permille = 5;
  std::size_t path_mtu_bytes = 1500;  // of IPv4 packets, headers included: of all links, and of paths at first
};

struct Datagram {
  SocketAddress local;
  SocketAddress remote;
  Bytes payload;
  bool dont_fragment = false;
  bool tunnelled = false;     // by a kernel
  std::size_t seal_size = 0;  // bytes that encryption adds on the wire
};

// Partitions are those of the transport; a port can be blocked besides.
class Datagrams {
 public:
  // Between two hosts there may be a link that carries less than theirs. One that is silent does not tell kernels whose
  // tunnels bring more than it carries; sleeve needs to be told.
  struct Path {
    std::size_t mtu_bytes = 0;
    bool silent = false;
  };
  // Less than that is not enough for what 2.8 takes for granted; see Heal().
  static constexpr std::size_t kLeastPathMtu = 1460;

  struct Handler {
    std::function<void(const SocketAddress& from, ByteView bytes)> received;
    std::function<void(const SocketAddress& to, std::size_t path_mtu_bytes)> too_big;
  };

  // References outlive this.
  Datagrams(DatagramOptions options, EventQueue& queue, const Transport& transport, Random random)
      : options_(options), queue_(queue), transport_(transport), random_(random) {}

  // ---- faults ----
  // What `from` sends to this port of `to` is lost.
  void Block(HostId from, HostId to, std::uint16_t port) { blocked_.insert({from, to, port}); }
  void Unblock(HostId from, HostId to, std::uint16_t port) { blocked_.erase({from, to, port}); }
  void SetPath(HostId from, HostId to, const Path& path) { paths_[{from, to}] = path; }
  // From now on everything arrives; what is too large for a path does not, but no path is too narrow for tunnels.
  void Heal();

  // Calls come in events of their own.
  void Listen(const SocketAddress& local, Handler handler) { listeners_[local] = std::move(handler); }
  void Close(const SocketAddress& local) { listeners_.erase(local); }

  void Send(Datagram datagram);

  std::size_t link_mtu_bytes() const { return options_.path_mtu_bytes; }
  // Those of peers that were too large for their path. Who has sent one knows better when it is told.
  std::uint64_t too_large_count() const { return too_large_count_; }

 private:
  Path PathOf(HostId from, HostId to) const;

  const DatagramOptions options_;
  EventQueue& queue_;
  const Transport& transport_;
  Random random_;
  bool healed_ = false;
  std::uint64_t too_large_count_ = 0;
  absl::btree_map<SocketAddress, Handler> listeners_;
  absl::btree_set<std::tuple<HostId, HostId, std::uint16_t>> blocked_;
  absl::btree_map<std::pair<HostId, HostId>, Path> paths_;
};

}  // namespace weave::sim
