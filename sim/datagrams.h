// UDP as hosts of the simulation see it: datagrams that arrive once, late, out of order, or not at all.
#pragma once

#include <cstddef>
#include <functional>

#include "absl/container/btree_map.h"
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
  SocketAddress remote;
  Bytes payload;
  bool dont_fragment = false;
};

// Partitions are those of the transport.
class Datagrams {
 public:
  struct Handler {
    std::function<void(const SocketAddress& from, ByteView bytes)> received;
    std::function<void(const SocketAddress& to, std::size_t path_mtu_bytes)> too_big;
  };

  // References outlive this.
  Datagrams(DatagramOptions options, EventQueue& queue, const Transport& transport, Random random)
      : options_(options), queue_(queue), transport_(transport), random_(random) {}

  // From now on everything arrives.
  void Heal() { healed_ = true; }

  // Calls come in events of their own.
  void Listen(HostId host, Handler handler) { listeners_[host] = std::move(handler); }
  void Crash(HostId host) { listeners_.erase(host); }

  void Send(HostId from, Datagram datagram);

 private:
  const DatagramOptions options_;
  EventQueue& queue_;
  const Transport& transport_;
  Random random_;
  bool healed_ = false;
  absl::btree_map<HostId, Handler> listeners_;
};

}  // namespace weave::sim
