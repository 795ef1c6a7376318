// TCP connections on the event loop: bytes in and out for a core that decides everything (spec/mesh.md section 1). What
// one connection may cost is bounded: memory by what the core sends and by a pause of reading, time by a share per
// turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "io/event_loop.h"
#include "io/fd.h"
#include "io/tcp_acceptor.h"

namespace weave {

// Told what happens to connections, on the loop's thread, never from within a call of the transport. May call the
// transport, also to close the connection it is told about; must not destroy it.
class TransportEvents {
 public:
  virtual ~TransportEvents() = default;

  // The first event of a connection that we made, or that came to us; IPv4 addresses are never in IPv6 form.
  virtual void OnConnected(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) = 0;
  virtual void OnAccepted(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) = 0;

  // At most TcpTransport::kReadSize bytes, valid during the call.
  virtual void OnReceived(std::uint64_t id, ByteView bytes) = 0;

  // Everything given to Send so far is the kernel's now. Once after one or more calls of Send.
  virtual void OnWritable(std::uint64_t id) = 0;

  // The last event: the connection is gone, or was never made. `reason` is one line without addresses, as "connection
  // refused", "connection reset by peer", "closed by the other side", "no answer within 20s".
  virtual void OnClosed(std::uint64_t id, const absl::Status& reason) = 0;
};

struct TcpTransportOptions {
  // Where to listen and where to connect from (--host); nothing or unspecified: every address of this host.
  std::optional<IpAddress> host = std::nullopt;
  std::uint16_t port = 0;  // 0: any free one
  Duration connect_timeout = absl::Seconds(20);

  // Accepted connections that have not been admitted; at least 1. One more takes the place of the oldest among those of
  // the address (in IPv6: the /64) that has most of them: a flood from one host does not shut out the others.
  int max_pending_count = 64;

  // Bytes of one connection that wait to be sent, a bug of ours if exceeded (CHECK): two frames of the largest size
  // (spec/mesh.md section 2.3) with their surroundings.
  std::size_t max_queued_size = (2 * 10 + 1) * 1024 * 1024;

  // See TcpAcceptor::Options.
  int accept_burst = 20;
  Duration accept_interval = absl::Milliseconds(50);
};

// For metrics; totals since the start, of all connections.
struct TcpTransportStats {
  std::uint64_t accepted_count = 0;
  std::uint64_t refused_count = 0;    // reset at once: no descriptor was free
  std::uint64_t displaced_count = 0;  // half-open ones closed for others, see max_pending_count
  std::uint64_t received_size = 0;
  std::uint64_t sent_size = 0;
};

// A connection is an id, chosen by the caller for those it makes and by the transport, counting from 1, for those that
// come; an id is never used again. Calls with the id of a connection that is gone, or was closed by us, do nothing: the
// caller may not have heard of it yet. On the loop's thread, destroyed before the loop; connections are reset then,
// without events.
class TcpTransport {
 public:
  static constexpr std::size_t kReadSize = 64 * 1024;    // bytes, per connection and turn
  static constexpr std::size_t kWriteSize = 256 * 1024;  // bytes, per connection and turn

  TcpTransport(EventLoop& loop, Logger& log, TransportEvents& events, const TcpTransportOptions& options);
  TcpTransport(const TcpTransport&) = delete;
  TcpTransport& operator=(const TcpTransport&) = delete;
  ~TcpTransport();

  // Begins to accept; once. Not needed for connecting. Errors as ListenTcp (io/tcp_socket.h).
  absl::Status Listen();

  // Where we listen, with the real port; after Listen.
  const SocketAddress& listen_address() const;

  // Ids from here on are the caller's.
  static constexpr std::uint64_t kFirstCallersId = std::uint64_t{1} << 63;

  // Ends in OnConnected or OnClosed. `id` is at least kFirstCallersId and not used yet (CHECK).
  void Connect(std::uint64_t id, const SocketAddress& remote);

  // An accepted connection has introduced itself: it no longer counts as pending.
  void Admit(std::uint64_t id);

  // In order. Before OnConnected: waits for it.
  void Send(std::uint64_t id, Bytes bytes);

  // While paused, nothing is received and an end of the connection shows only when sending. The kernel's buffer fills
  // and the other side has to wait.
  void PauseReading(std::uint64_t id);
  void ResumeReading(std::uint64_t id);

  // Resets the connection; what was not sent yet is dropped. No event follows.
  void Close(std::uint64_t id);

  // The same, but the other side reads what it was sent before it finds that we have gone. What it says until then is
  // thrown away, for a second at most. Where the kernel has not taken all, or many leave already, this is Close.
  void Leave(std::uint64_t id);

  // Bytes given to Send that the kernel has not taken.
  std::size_t queued_size(std::uint64_t id) const;

  // All there are, those being made included.
  std::size_t connection_count() const { return connections_.size(); }
  TcpTransportStats stats() const;

 private:
  struct Connection;
  struct Leaving {
    Fd fd;
    std::unique_ptr<FdWatch> watch;
    std::unique_ptr<Timer> end;
  };

  Connection* Find(std::uint64_t id);
  void OnAccept(Fd fd, const SocketAddress& remote);
  void MakeRoomForPending(const IpAddress& newcomer);
  void FinishConnect(std::uint64_t id, Connection& connection);
  void StartReading(std::uint64_t id, Connection& connection);
  void WatchWritable(std::uint64_t id, Connection& connection);
  void OnReadableFd(std::uint64_t id);
  void OnWritableFd(std::uint64_t id);
  void Write(std::uint64_t id, Connection& connection);
  void OnWriteError(std::uint64_t id, Connection& connection, int error);
  void TellLater(std::uint64_t id);
  void TellDue();
  void Tell(std::uint64_t id);
  void End(std::uint64_t id, const absl::Status& reason);
  void OnReadableLeaving(std::uint64_t id);

  EventLoop& loop_;
  Logger& log_;
  TransportEvents& events_;
  const TcpTransportOptions options_;
  std::unique_ptr<TcpAcceptor> acceptor_;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::map<std::uint64_t, Leaving> leaving_;  // nothing to the user any more
  int pending_count_ = 0;
  TcpTransportStats stats_;
  const std::unique_ptr<std::uint8_t[]> scratch_;  // kReadSize bytes, for all reads; not touched before
  std::vector<std::uint64_t> due_;                 // connections with something to tell, see TellLater
  std::unique_ptr<Timer> tell_;                    // for due_
};

}  // namespace weave
