// TCP as hosts of the simulation see it: connections that carry bytes in order, each once, until they break. What a
// sans-IO mesh needs: events connected, accepted, bytes, writable, closed; effects connect, send, close.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/random.h"
#include "sim/event_queue.h"
#include "sim/trace.h"

namespace weave::sim {

// One end of a connection; the two ends have different ids. Never reused.
using ConnectionId = std::uint64_t;

struct Connected {
  ConnectionId connection = 0;
};
struct Accepted {
  ConnectionId connection = 0;
  HostId from = 0;
};
struct Received {
  ConnectionId connection = 0;
  Bytes bytes;
};
// After Send took less than it was given: there is room again.
struct Writable {
  ConnectionId connection = 0;
};
// The end is gone. OK: the other side closed it and everything it sent has arrived.
struct Closed {
  ConnectionId connection = 0;
  absl::Status status;
};
using TransportEvent = std::variant<Connected, Accepted, Received, Writable, Closed>;

struct TransportOptions {
  Duration min_latency = absl::Microseconds(50);
  Duration max_latency = absl::Milliseconds(30);
  std::uint64_t bytes_per_second = 100'000'000;
  std::size_t send_buffer_size = 64 * 1024;
  std::size_t max_segment_size = 16 * 1024;
  Duration retransmit_after = absl::Milliseconds(200);
  Duration give_up_after = absl::Seconds(20);  // without an acknowledgement
};

class Transport {
 public:
  using Handler = std::function<void(const TransportEvent&)>;

  // References outlive the transport.
  Transport(TransportOptions options, EventQueue& queue, Random random, Trace& trace)
      : options_(options), queue_(queue), random_(random), trace_(trace) {}

  // The host is up and accepts connections; its events go to `handler`, never from within a call of this class.
  void Listen(HostId host, Handler handler);
  // All its ends vanish; the others learn of it only when they send.
  void Crash(HostId host);

  // Answered by Connected or Closed.
  ConnectionId Connect(HostId from, HostId to);
  // How many of the bytes were taken, from the first; 0 when the end is gone.
  std::size_t Send(ConnectionId connection, ByteView bytes);
  // What was taken is still delivered. No event follows for this end.
  void Close(ConnectionId connection);
  // Close that drops what was not sent: the other end is reset.
  void Abort(ConnectionId connection);

  // ---- faults ----
  void Block(HostId from, HostId to) { blocked_.insert({from, to}); }  // one direction
  void Unblock(HostId from, HostId to) { blocked_.erase({from, to}); }
  bool Blocked(HostId from, HostId to) const { return blocked_.contains({from, to}); }
  // Both ends are told that the connection was reset; what is on its way is lost.
  void Reset(ConnectionId connection);
  // Only this end is told that the connection was reset; the other finds out when it sends.
  void Lose(ConnectionId connection);
  // Nothing leaves this end for a while.
  void Stall(ConnectionId connection, Duration duration);
  void Heal() { blocked_.clear(); }

  // One of all ends there are; none when there is none.
  std::optional<ConnectionId> AnyEnd(Random& random) const;

  std::size_t open_count() const { return ends_.size(); }

 private:
  struct End {
    HostId host = 0;
    HostId remote_host = 0;
    ConnectionId remote = 0;  // 0: not connected yet
    Bytes outgoing;
    std::size_t outgoing_begin = 0;   // what stands before has left
    std::size_t in_flight_count = 0;  // bytes of the segment that is not acknowledged yet
    bool sending = false;
    std::size_t outgoing_size() const { return outgoing.size() - outgoing_begin; }
    bool wants_room = false;
    bool closing = false;
    MonotonicTime stalled_until;
  };

  End* Find(ConnectionId connection);
  Duration Latency() { return Draw(random_, options_.min_latency, options_.max_latency); }
  void Synchronize(ConnectionId connection, MonotonicTime give_up);
  void Pump(ConnectionId connection);
  void Arrive(ConnectionId connection, Bytes segment, MonotonicTime give_up);
  void Acknowledge(ConnectionId connection, MonotonicTime give_up);
  void Finish(ConnectionId connection, MonotonicTime give_up);
  void Drop(ConnectionId connection, absl::Status status);
  void Tell(HostId host, const TransportEvent& event);

  const TransportOptions options_;
  EventQueue& queue_;
  Random random_;
  Trace& trace_;
  absl::btree_map<HostId, Handler> listeners_;
  absl::btree_map<ConnectionId, std::unique_ptr<End>> ends_;  // by pointer: a look-up touches few nodes
  absl::btree_set<std::pair<HostId, HostId>> blocked_;
  ConnectionId last_id_ = 0;
};

}  // namespace weave::sim
