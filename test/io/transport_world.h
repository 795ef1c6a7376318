// For tests of sockets on the loop: running it until something is so, plain sockets as the other side, and a transport
// whose events are remembered.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "io/clock.h"
#include "io/event_loop.h"
#include "io/fd.h"
#include "io/sockaddr.h"
#include "io/tcp_transport.h"
#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {

// Runs turns until `done()`, asked at the end of each; a minute is a failure.
template <typename Done>
void RunUntil(EventLoop& loop, Done done) {
  if (done()) return;
  bool late = false;
  const auto guard = loop.MakeTimer([&] {
    late = true;
    loop.Stop();
  });
  guard->Arm(MonotonicNow() + absl::Minutes(1));
  bool is_done = false;
  loop.SetEndOfTurn([&] {
    if (is_done || !done()) return;
    is_done = true;
    loop.Stop();
  });
  loop.Run();
  loop.SetEndOfTurn(nullptr);
  REQUIRE_FALSE(late);
}

// Runs the turns it takes for everything that is ready now to have been told.
inline void RunSomeTurns(EventLoop& loop, int count = 10) {
  int turns = 0;
  absl::AnyInvocable<void()> next;
  next = [&] {
    if (++turns < count) loop.Post([&] { next(); });
  };
  loop.Post([&] { next(); });
  RunUntil(loop, [&] { return turns == count; });
}

inline SocketAddress At(absl::string_view text) { return *SocketAddress::Parse(text); }

// A socket of the other side, blocking, as any program has one.
class PlainSocket {
 public:
  explicit PlainSocket(Fd fd) : fd_(std::move(fd)) { REQUIRE(fd_.valid()); }

  // Bound to `from` first if that is not empty: "127.0.0.2:0".
  static PlainSocket Connect(const SocketAddress& to, absl::string_view from = "") {
    PlainSocket socket =
        Bind(from.empty() ? SocketAddress{to.ip.IsV4() ? IpAddress::V4(0) : IpAddress::V6(0), 0} : At(from));
    const KernelAddress address(to);
    REQUIRE(::connect(socket.fd(), address.get(), address.size()) == 0);
    return socket;
  }
  static PlainSocket Bind(const SocketAddress& at) {
    PlainSocket socket(Fd(::socket(FamilyOf(at.ip), SOCK_STREAM | SOCK_CLOEXEC, 0)));
    const KernelAddress address(at);
    REQUIRE(::bind(socket.fd(), address.get(), address.size()) == 0);
    return socket;
  }
  static PlainSocket Listen(const SocketAddress& at, int backlog = 10) {
    PlainSocket socket = Bind(at);
    REQUIRE(::listen(socket.fd(), backlog) == 0);
    return socket;
  }

  PlainSocket Accept() const { return PlainSocket(Fd(::accept4(fd(), nullptr, nullptr, SOCK_CLOEXEC))); }
  void Write(absl::string_view text) const {
    REQUIRE(::send(fd(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }

  // The next bytes, waiting for them; empty at the end of the stream or with an error, see error().
  std::string Read() {
    char buffer[65536];
    const ssize_t size = ::recv(fd(), buffer, sizeof buffer, 0);
    error_ = size < 0 ? errno : 0;
    return std::string(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
  }
  std::string Read(std::size_t size) {
    std::string all;
    while (all.size() < size) {
      const std::string more = Read();
      if (more.empty()) break;
      all += more;
    }
    return all;
  }
  int error() const { return error_; }

  // Without waiting.
  bool readable() const {
    pollfd poll = {fd(), POLLIN, 0};
    return ::poll(&poll, 1, 0) == 1;
  }

  // Close() ends the stream in order (as long as nothing is left unread), Reset() with a RST.
  void Close() { fd_.reset(); }
  void Reset() {
    const linger at_once = {1, 0};
    REQUIRE(::setsockopt(fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    fd_.reset();
  }

  int fd() const { return fd_.get(); }
  SocketAddress local() const { return *LocalAddressOf(fd()); }
  SocketAddress remote() const { return *RemoteAddressOf(fd()); }

 private:
  Fd fd_;
  int error_ = 0;
};

// A transport with its loop's thread, and everything it told.
class Endpoint final : public TransportEvents {
 public:
  struct Seen {
    SocketAddress local, remote;
    std::string received;
    int received_count = 0;
    std::size_t largest_size = 0;
    int writable_count = 0;
    std::string closed;  // the reason's text
    absl::StatusCode code = absl::StatusCode::kOk;
    MonotonicTime opened_at;
  };

  explicit Endpoint(EventLoop& event_loop, const TcpTransportOptions& options = {.host = IpAddress::V4(0x7f000001)})
      : loop(event_loop), transport(event_loop, log, *this, options) {}

  std::uint64_t Connect(const SocketAddress& to) {
    const std::uint64_t id = next_id_++;
    transport.Connect(id, to);
    return id;
  }
  void Send(std::uint64_t id, absl::string_view text) { transport.Send(id, Bytes(text.begin(), text.end())); }

  void OnConnected(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) override {
    Note(id, "connected");
    seen[id].local = local;
    seen[id].remote = remote;
    if (on_event) on_event("connected", id);
  }
  void OnAccepted(std::uint64_t id, const SocketAddress& local, const SocketAddress& remote) override {
    Note(id, "accepted");
    accepted.push_back(id);
    seen[id].local = local;
    seen[id].remote = remote;
    seen[id].opened_at = loop.now().monotonic;
    if (on_event) on_event("accepted", id);
  }
  void OnReceived(std::uint64_t id, ByteView bytes) override {
    Note(id, "received");
    Seen& connection = seen[id];
    connection.received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ++connection.received_count;
    connection.largest_size = std::max(connection.largest_size, bytes.size());
    if (on_event) on_event("received", id);
    if (echo) transport.Send(id, Bytes(bytes.begin(), bytes.end()));
  }
  void OnWritable(std::uint64_t id) override {
    Note(id, "writable");
    ++seen[id].writable_count;
    if (on_event) on_event("writable", id);
  }
  void OnClosed(std::uint64_t id, const absl::Status& reason) override {
    Note(id, "closed");
    seen[id].closed = std::string(reason.message());
    seen[id].code = reason.code();
    if (on_event) on_event("closed", id);
  }

  EventLoop& loop;
  RememberingLogger log;
  bool echo = false;
  absl::AnyInvocable<void(absl::string_view event, std::uint64_t id)> on_event;
  std::map<std::uint64_t, Seen> seen;
  std::vector<std::uint64_t> accepted;
  std::vector<std::string> trace;  // "ID event"; repeated ones once
  bool in_call = false;            // set by tests around calls of the transport
  TcpTransport transport;

 private:
  std::uint64_t next_id_ = TcpTransport::kFirstCallersId;

  void Note(std::uint64_t id, absl::string_view event) {
    CHECK_FALSE(in_call);
    std::string line = absl::StrCat(id, " ", event);
    if (trace.empty() || trace.back() != line) trace.push_back(std::move(line));
  }
};

}  // namespace weave
