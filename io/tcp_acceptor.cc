#include "io/tcp_acceptor.h"

#include <fcntl.h>

#include <cerrno>

#include "base/status.h"
#include "io/sockaddr.h"
#include "io/tcp_socket.h"

namespace weave {
namespace {

// After a failure that trying again at once would only repeat.
constexpr Duration kErrorPause = absl::Seconds(1);

Fd OpenReserve() { return Fd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

}  // namespace

absl::StatusOr<std::unique_ptr<TcpAcceptor>> TcpAcceptor::Listen(EventLoop& loop, Logger& log, const Options& options,
                                                                 OnAccept on_accept) {
  ASSIGN_OR_RETURN(Fd listener, ListenTcp(options.host, options.port));
  ASSIGN_OR_RETURN(const SocketAddress address, LocalAddressOf(listener.get()));
  std::unique_ptr<TcpAcceptor> acceptor(
      new TcpAcceptor(loop, log, options, std::move(on_accept), std::move(listener), address));
  acceptor->Resume();
  return acceptor;
}

TcpAcceptor::TcpAcceptor(EventLoop& loop, Logger& log, const Options& options, OnAccept on_accept, Fd listener,
                         const SocketAddress& address)
    : loop_(loop),
      log_(log),
      on_accept_(std::move(on_accept)),
      listener_(std::move(listener)),
      address_(address),
      reserve_(OpenReserve()),
      bucket_(options.burst, options.interval),
      resume_(loop.MakeTimer([this] { Resume(); })) {}

void TcpAcceptor::Resume() {
  watch_ = loop_.WatchReadable(listener_.get(), [this] { OnReadable(); });
}

void TcpAcceptor::PauseUntil(MonotonicTime time) {
  watch_.reset();
  resume_->Arm(time);
}

void TcpAcceptor::OnReadable() {
  const MonotonicTime now = loop_.now().monotonic;
  while (now >= bucket_.NextToken()) {
    AcceptedSocket accepted = AcceptTcp(listener_.get());
    if (accepted.error == EAGAIN) return;
    bucket_.Take(now);
    if (accepted.error != 0) {
      if (!OnError(accepted.error)) return PauseUntil(now + kErrorPause);
      continue;
    }
    if (short_of_descriptors_) {
      short_of_descriptors_ = false;
      log_.Info("accepting connections again", {{"address", address_.ToString()}, {"refused", refused_count_}});
    }
    on_accept_(std::move(accepted.fd), accepted.remote);
  }
  PauseUntil(bucket_.NextToken());
}

bool TcpAcceptor::OnError(int error) {
  switch (error) {
    case ECONNABORTED:  // gone before we came
    case EINTR:
    case EPROTO:
    case EPERM:  // a packet filter's
      return true;
    case EMFILE:
    case ENFILE:
      return RefuseOne(error);
    default:
      log_.Warning("cannot accept connections; trying again", {{"address", address_.ToString()},
                                                               {"error", ConnectionError(error).message()},
                                                               {"pause", absl::FormatDuration(kErrorPause)}});
      return false;
  }
}

bool TcpAcceptor::RefuseOne(int error) {
  if (!short_of_descriptors_) {
    short_of_descriptors_ = true;
    log_.Warning("refusing connections: no descriptor is free",
                 {{"address", address_.ToString()}, {"error", ConnectionError(error).message()}});
  }
  reserve_.reset();
  const bool refused = AcceptTcp(listener_.get()).fd.valid();
  reserve_ = OpenReserve();
  if (refused) ++refused_count_;
  return refused && reserve_.valid();
}

}  // namespace weave
