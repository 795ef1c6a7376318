#include "dns/os/dns_session.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "dns/message.h"

namespace weave {

DnsSession::DnsSession(EventLoop& loop, Fd fd, const SocketAddress& client, Duration life, Callbacks callbacks)
    : loop_(loop),
      fd_(std::move(fd)),
      client_(client),
      life_(life),
      callbacks_(std::move(callbacks)),
      timer_(loop.MakeTimer([this] { End(); })) {
  Watch();
}

// Whatever the client does keeps the session for another while.
void DnsSession::Watch() {
  timer_->Arm(loop_.now().monotonic + life_);
  const bool reads = !ended_ && open_count_ < kMaxOpenQueries && unsent_.size() < kMaxUnsentSize;
  if (reads && readable_ == nullptr) readable_ = loop_.WatchReadable(fd_.get(), [this] { Read(); });
  if (!reads) readable_.reset();
  if (!unsent_.empty() && writable_ == nullptr) writable_ = loop_.WatchWritable(fd_.get(), [this] { Write(); });
  if (unsent_.empty()) writable_.reset();
}

void DnsSession::End() {
  readable_.reset();
  writable_.reset();
  timer_.reset();
  callbacks_.on_end();
}

void DnsSession::Read() {
  std::uint8_t buffer[4096];
  const ssize_t size = ::recv(fd_.get(), buffer, sizeof buffer, 0);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return End();
  if (size == 0) ended_ = true;
  if (size > 0) received_.insert(received_.end(), buffer, buffer + size);
  if (!HandOver()) return End();
  Watch();
}

// False: the session is at its end.
bool DnsSession::HandOver() {
  handing_over_ = true;
  std::size_t at = 0;
  while (open_count_ < kMaxOpenQueries && received_.size() - at >= kDnsLengthSize) {
    const std::size_t size = static_cast<std::size_t>(received_[at]) << 8 | received_[at + 1];
    if (received_.size() - at - kDnsLengthSize < size) break;
    ++open_count_;
    callbacks_.on_query(ByteView(received_).subspan(at + kDnsLengthSize, size));
    at += kDnsLengthSize + size;
  }
  received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(at));
  handing_over_ = false;
  return !ended_ || open_count_ > 0 || !unsent_.empty();
}

void DnsSession::Answer(ByteView message) {
  --open_count_;
  if (!message.empty()) {
    unsent_.push_back(static_cast<std::uint8_t>(message.size() >> 8));
    unsent_.push_back(static_cast<std::uint8_t>(message.size()));
    unsent_.insert(unsent_.end(), message.begin(), message.end());
  }
  if (handing_over_) return;
  if (!HandOver()) return End();
  Watch();
}

void DnsSession::Write() {
  const ssize_t size = ::send(fd_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (size < 0) return End();
  unsent_.erase(unsent_.begin(), unsent_.begin() + size);
  if (!HandOver()) return End();
  Watch();
}

}  // namespace weave
