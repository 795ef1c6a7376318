// Queries that this network cannot answer, carried to the name servers of the host and back (spec/dns.md section 4):
// all at once, over the client's transport, to one server after the other until one answers. Nothing is kept.
//
// Against forged answers: every query has a socket of its own, connected, on a port that the kernel draws, an id of its
// own, and over UDP a name in mixed case ("0x20") that must come back as it went. A server that changes the case is
// asked once more over TCP, which nobody else can answer.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/bytes.h"
#include "base/entropy.h"
#include "base/ip.h"
#include "base/log.h"
#include "dns/os/surroundings.h"
#include "io/event_loop.h"

namespace weave {

// Queries under way. Each has a descriptor.
inline constexpr std::size_t kMaxForwarded = 256;
inline constexpr std::size_t kMaxForwardedOfClient = 64;

class Forwarder {
 public:
  // The answer for the client. Empty: no server answered.
  using Done = absl::AnyInvocable<void(Bytes answer)>;

  // `timeout`: for each server. References outlive the forwarder.
  Forwarder(EventLoop& loop, EntropySource& entropy, Duration timeout);
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  ~Forwarder();

  // False, and nothing done: too many are under way. `query` has exactly one question. `done` is called once, in a
  // later turn, unless the forwarder ends before.
  bool Forward(const std::vector<SocketAddress>& servers, const IpAddress& client, bool over_tcp, ByteView query,
               Done done);

  std::size_t pending_count() const { return pending_.size(); }

 private:
  class Exchange;

  void Finish(std::uint64_t id, Bytes answer);

  EventLoop& loop_;
  EntropySource& entropy_;
  const Duration timeout_;
  std::uint64_t last_id_ = 0;
  std::map<std::uint64_t, std::unique_ptr<Exchange>> pending_;
  std::map<IpAddress, std::size_t> of_client_;
};

}  // namespace weave
