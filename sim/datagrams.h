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
  std::size_t path_mtu_bytes = 1500;  // of IPv4 packets, headers included
};

struct Datagram {
  SocketAddress local;
  SocketAddress remote;
  Bytes payload;
  bool dont_fragment = false;
};

// Partitions are those of the transport; a port can be blocked besides.
class Datagrams {
 public:
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
  // From now on everything arrives.
  void Heal() {
    healed_ = true;
    blocked_.clear();
  }

  // Calls come in events of their own.
  void Listen(const SocketAddress& local, Handler handler) { listeners_[local] = std::move(handler); }
  void Close(const SocketAddress& local) { listeners_.erase(local); }

  void Send(Datagram datagram);

 private:
  const DatagramOptions options_;
  EventQueue& queue_;
  const Transport& transport_;
  Random random_;
  bool healed_ = false;
  absl::btree_map<SocketAddress, Handler> listeners_;
  absl::btree_set<std::tuple<HostId, HostId, std::uint16_t>> blocked_;
};

}  // namespace weave::sim
