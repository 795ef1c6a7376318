#include "io/tcp_transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/status.h"
#include "io/sockaddr.h"
#include "io/tcp_socket.h"

namespace weave {
namespace {

const Duration kLeavingTime = absl::Seconds(1);
constexpr std::size_t kMaxLeavingCount = 64;

// Who one sender can be at most: an IPv6 host has a whole /64 of addresses.
IpAddress SourceOf(const IpAddress& ip) {
  return ip.IsV4() ? ip : IpAddress::V6(absl::MakeUint128(absl::Uint128High64(ip.value()), 0));
}

}  // namespace

struct TcpTransport::Connection {
  Fd fd;  // invalid when not even a socket could be made
  SocketAddress remote;
  bool open = false;     // both sides know of it
  bool pending = false;  // accepted and not admitted
  bool reading = true;   // not paused

  std::deque<Bytes> queue;      // what the kernel has not taken
  std::size_t sent_size = 0;    // of the first in the queue
  std::size_t queued_size = 0;  // bytes
  bool owes_writable = false;   // Send was called since the last OnWritable

  absl::Status failure;  // the reason for OnClosed, once it is sure to come

  // Those of the descriptor go before it.
  std::unique_ptr<FdWatch> read_watch;
  std::unique_ptr<FdWatch> write_watch;
  std::unique_ptr<Timer> connect_timeout;
};

TcpTransport::TcpTransport(EventLoop& loop, Logger& log, TransportEvents& events, const TcpTransportOptions& options)
    : loop_(loop),
      log_(log),
      events_(events),
      options_(options),
      scratch_(new std::uint8_t[kReadSize]),
      tell_(loop.MakeTimer([this] { TellDue(); })) {
  CHECK(options.max_pending_count >= 1) << options.max_pending_count;
}

TcpTransport::~TcpTransport() = default;

absl::Status TcpTransport::Listen() {
  CHECK(acceptor_ == nullptr) << "already listening";
  ASSIGN_OR_RETURN(
      acceptor_, TcpAcceptor::Listen(loop_, log_,
                                     {.host = options_.host,
                                      .port = options_.port,
                                      .burst = options_.accept_burst,
                                      .interval = options_.accept_interval},
                                     [this](Fd fd, const SocketAddress& remote) { OnAccept(std::move(fd), remote); }));
  return absl::OkStatus();
}

const SocketAddress& TcpTransport::listen_address() const {
  CHECK(acceptor_ != nullptr) << "not listening";
  return acceptor_->address();
}

void TcpTransport::Connect(std::uint64_t id, const SocketAddress& remote) {
  CHECK(id >= kFirstCallersId) << "connection " << id << " is not the caller's";
  const auto [position, added] = connections_.emplace(id, std::make_unique<Connection>());
  CHECK(added) << "connection " << id << " exists";
  Connection& connection = *position->second;
  connection.remote = remote;
  absl::StatusOr<Fd> fd = StartConnect(options_.host, remote);
  if (!fd.ok()) {
    connection.failure = std::move(fd).status();
    TellLater(id);
    return;
  }
  connection.fd = *std::move(fd);
  WatchWritable(id, connection);
  connection.connect_timeout = loop_.MakeTimer([this, id] {
    End(id,
        absl::DeadlineExceededError(absl::StrCat("no answer within ", absl::FormatDuration(options_.connect_timeout))));
  });
  connection.connect_timeout->Arm(loop_.now().monotonic + options_.connect_timeout);
}

void TcpTransport::Admit(std::uint64_t id) {
  Connection* connection = Find(id);
  if (connection != nullptr && std::exchange(connection->pending, false)) --pending_count_;
}

void TcpTransport::Send(std::uint64_t id, Bytes bytes) {
  Connection* connection = Find(id);
  if (connection == nullptr || !connection->failure.ok()) return;
  connection->queued_size += bytes.size();
  CHECK(connection->queued_size <= options_.max_queued_size)
      << connection->queued_size << " bytes queued for " << connection->remote;
  connection->owes_writable = true;
  if (!bytes.empty()) connection->queue.push_back(std::move(bytes));
  if (!connection->open) return;
  if (connection->write_watch == nullptr) Write(id, *connection);
  if (connection->queue.empty()) TellLater(id);
}

void TcpTransport::PauseReading(std::uint64_t id) {
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  connection->reading = false;
  connection->read_watch.reset();
  if (!connection->failure.ok()) TellLater(id);  // nobody waits for what is left to read
}

void TcpTransport::ResumeReading(std::uint64_t id) {
  Connection* connection = Find(id);
  if (connection == nullptr || std::exchange(connection->reading, true)) return;
  if (connection->open && connection->failure.ok()) StartReading(id, *connection);
}

void TcpTransport::Close(std::uint64_t id) {
  Admit(id);
  connections_.erase(id);
}

void TcpTransport::Leave(std::uint64_t id) {
  Connection* connection = Find(id);
  const bool all_is_sent = connection != nullptr && connection->open && connection->queue.empty();
  if (!all_is_sent || leaving_.size() >= kMaxLeavingCount || shutdown(connection->fd.get(), SHUT_WR) != 0)
    return Close(id);
  Fd fd = std::move(connection->fd);
  Close(id);
  Leaving& leaving = leaving_[id];
  leaving.fd = std::move(fd);
  leaving.watch = loop_.WatchReadable(leaving.fd.get(), [this, id] { OnReadableLeaving(id); });
  leaving.end = loop_.MakeTimer([this, id] { leaving_.erase(id); });
  leaving.end->Arm(loop_.now().monotonic + kLeavingTime);
}

void TcpTransport::OnReadableLeaving(std::uint64_t id) {
  const ssize_t size = recv(leaving_.at(id).fd.get(), scratch_.get(), kReadSize, 0);
  if (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR))) return;
  leaving_.erase(id);
}

std::size_t TcpTransport::queued_size(std::uint64_t id) const {
  const auto found = connections_.find(id);
  return found == connections_.end() ? 0 : found->second->queued_size;
}

TcpTransportStats TcpTransport::stats() const {
  TcpTransportStats stats = stats_;
  if (acceptor_ != nullptr) stats.refused_count = acceptor_->refused_count();
  return stats;
}

TcpTransport::Connection* TcpTransport::Find(std::uint64_t id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void TcpTransport::OnAccept(Fd fd, const SocketAddress& remote) {
  const absl::StatusOr<SocketAddress> local = LocalAddressOf(fd.get());
  if (!local.ok()) return;
  ++stats_.accepted_count;
  if (pending_count_ >= options_.max_pending_count) MakeRoomForPending(remote.ip);

  const std::uint64_t id = next_id_++;
  Connection& connection = *connections_.emplace(id, std::make_unique<Connection>()).first->second;
  connection.fd = std::move(fd);
  connection.remote = remote;
  connection.open = true;
  connection.pending = true;
  ++pending_count_;
  StartReading(id, connection);
  events_.OnAccepted(id, *local, remote);
}

void TcpTransport::MakeRoomForPending(const IpAddress& newcomer) {
  std::map<IpAddress, int> counts = {{SourceOf(newcomer), 1}};
  for (const auto& [id, connection] : connections_)
    if (connection->pending) ++counts[SourceOf(connection->remote.ip)];
  std::uint64_t oldest = 0;
  int highest = 0;
  for (const auto& [id, connection] : connections_) {
    const int count = connection->pending ? counts[SourceOf(connection->remote.ip)] : 0;
    if (count <= highest) continue;
    oldest = id;
    highest = count;
  }
  ++stats_.displaced_count;
  End(oldest, absl::ResourceExhaustedError(absl::StrCat("closed for another: ", options_.max_pending_count,
                                                        " connections have not introduced themselves")));
}

void TcpTransport::FinishConnect(std::uint64_t id, Connection& connection) {
  if (const absl::Status status = TakeSocketError(connection.fd.get()); !status.ok()) return End(id, status);
  const absl::StatusOr<SocketAddress> local = LocalAddressOf(connection.fd.get());
  if (!local.ok()) return End(id, local.status());
  const absl::StatusOr<SocketAddress> remote = RemoteAddressOf(connection.fd.get());
  if (!remote.ok()) return End(id, absl::UnavailableError("closed by the other side"));
  // Nobody listens there, but the kernel chose that very port for our end (RFC 9293 section 3.5, simultaneous open).
  if (*local == *remote) return End(id, absl::UnavailableError("connected to itself, nobody listens there"));

  connection.open = true;
  connection.connect_timeout.reset();
  if (connection.queue.empty()) connection.write_watch.reset();
  if (connection.reading) StartReading(id, connection);
  if (connection.owes_writable && connection.queue.empty()) TellLater(id);
  events_.OnConnected(id, *local, *remote);
}

void TcpTransport::StartReading(std::uint64_t id, Connection& connection) {
  connection.read_watch = loop_.WatchReadable(connection.fd.get(), [this, id] { OnReadableFd(id); });
}

void TcpTransport::WatchWritable(std::uint64_t id, Connection& connection) {
  connection.write_watch = loop_.WatchWritable(connection.fd.get(), [this, id] { OnWritableFd(id); });
}

// One read a turn: what is left makes the descriptor readable in the next.
void TcpTransport::OnReadableFd(std::uint64_t id) {
  Connection& connection = *Find(id);
  const ssize_t size = recv(connection.fd.get(), scratch_.get(), kReadSize, 0);
  if (size > 0) {
    stats_.received_size += static_cast<std::uint64_t>(size);
    return events_.OnReceived(id, ByteView(scratch_.get(), static_cast<std::size_t>(size)));
  }
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  absl::Status reason = size == 0 ? ConnectionError(EPIPE) : ConnectionError(errno);
  End(id, connection.failure.ok() ? std::move(reason) : connection.failure);
}

void TcpTransport::OnWritableFd(std::uint64_t id) {
  Connection& connection = *Find(id);
  if (!connection.open) return FinishConnect(id, connection);
  Write(id, connection);
  Tell(id);
}

void TcpTransport::Write(std::uint64_t id, Connection& connection) {
  std::size_t share = kWriteSize;
  while (!connection.queue.empty() && share > 0) {
    const Bytes& first = connection.queue.front();
    const std::size_t size = std::min(first.size() - connection.sent_size, share);
    const ssize_t taken = send(connection.fd.get(), first.data() + connection.sent_size, size, MSG_NOSIGNAL);
    if (taken < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      return OnWriteError(id, connection, errno);
    }
    const auto taken_size = static_cast<std::size_t>(taken);
    share -= taken_size;
    connection.sent_size += taken_size;
    connection.queued_size -= taken_size;
    stats_.sent_size += taken_size;
    if (connection.sent_size == first.size()) {
      connection.queue.pop_front();
      connection.sent_size = 0;
    }
  }
  if (connection.queue.empty()) {
    connection.write_watch.reset();
  } else if (connection.write_watch == nullptr) {
    WatchWritable(id, connection);
  }
}

void TcpTransport::OnWriteError(std::uint64_t id, Connection& connection, int error) {
  connection.failure = ConnectionError(error);
  connection.queue.clear();
  connection.queued_size = 0;
  connection.write_watch.reset();
  // After a reset, what came before it can still be read, and then the end of it.
  if (connection.read_watch != nullptr && (error == ECONNRESET || error == EPIPE)) return;
  connection.read_watch.reset();
  TellLater(id);
}

// Events must not come from within a call: they come when this turn runs its timers, or in the next turn.
void TcpTransport::TellLater(std::uint64_t id) {
  due_.push_back(id);
  if (!tell_->armed()) tell_->Arm(loop_.now().monotonic);
}

void TcpTransport::TellDue() {
  for (const std::uint64_t id : std::exchange(due_, {})) Tell(id);
}

void TcpTransport::Tell(std::uint64_t id) {
  Connection* connection = Find(id);
  if (connection == nullptr) return;
  if (!connection->failure.ok()) {
    if (connection->read_watch == nullptr) End(id, connection->failure);
    return;
  }
  if (!connection->open || !connection->queue.empty() || !std::exchange(connection->owes_writable, false)) return;
  events_.OnWritable(id);
}

void TcpTransport::End(std::uint64_t id, const absl::Status& reason) {
  Admit(id);
  const auto ended = connections_.extract(id);  // `reason` may be its own
  events_.OnClosed(id, reason);
}

}  // namespace weave
