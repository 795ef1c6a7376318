// One client's connection over TCP: messages with their length before them (RFC 1035 section 4.2.2), several at a time,
// answered in the order in which the answers come (RFC 7766 section 7). Private to dns/os/dns_server.cc.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "base/bytes.h"
#include "base/socket_address.h"
#include "io/event_loop.h"
#include "io/fd.h"

namespace weave {

class DnsSession {
 public:
  // Queries of one session that have not been answered; more are not read.
  static constexpr std::size_t kMaxOpenQueries = 32;
  // Bytes of answers that may wait for a client that does not read.
  static constexpr std::size_t kMaxUnsentSize = 4 * 65537;

  struct Callbacks {
    absl::AnyInvocable<void(ByteView query)> on_query;
    absl::AnyInvocable<void()> on_end;  // once: the session is to be destroyed, but not in the call
  };

  DnsSession(EventLoop& loop, Fd fd, const SocketAddress& client, Duration life, Callbacks callbacks);
  DnsSession(const DnsSession&) = delete;
  DnsSession& operator=(const DnsSession&) = delete;

  const SocketAddress& client() const { return client_; }

  // To one of the queries; empty: there is no answer.
  void Answer(ByteView message);

 private:
  void Read();
  bool HandOver();
  void Write();
  void Watch();
  void End();

  EventLoop& loop_;
  const Fd fd_;
  const SocketAddress client_;
  const Duration life_;
  Callbacks callbacks_;
  Bytes received_;
  Bytes unsent_;
  std::size_t open_count_ = 0;
  bool handing_over_ = false;
  bool ended_ = false;  // the client sends no more
  std::unique_ptr<FdWatch> readable_;
  std::unique_ptr<FdWatch> writable_;
  std::unique_ptr<Timer> timer_;
};

}  // namespace weave
