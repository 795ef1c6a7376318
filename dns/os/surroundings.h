// What of this machine a name server depends on: the name servers in resolv.conf, and whose queries it may carry there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/socket_address.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"

namespace weave {

struct Surroundings {
  std::vector<SocketAddress> servers;  // in the order of the file, at most kMaxNameServers
  std::vector<Cidr> clients;           // networks of this host's containers, and the host itself

  friend bool operator==(const Surroundings&, const Surroundings&) = default;
};

inline constexpr std::size_t kMaxNameServers = 8;

// The addresses of the `nameserver` lines, each once; what is no such line, or no address, is passed over.
std::vector<IpAddress> ParseResolvConf(absl::string_view text);

// Whether `client` may have other name servers asked: everybody else could use us to reach them, or to flood a third.
bool MayAskUpstream(const Surroundings& surroundings, const IpAddress& client);

struct SurroundingsOptions {
  std::string resolv_conf;           // path; never empty
  SocketAddress listen;              // ours: not to be asked
  std::vector<std::string> bridges;  // of containers, beside those without a way to the outside
  std::vector<Cidr> networks;        // of containers
};

// Reads everything once. Blocks as files do.
Surroundings LookAround(const SurroundingsOptions& options, Logger& logger);

// Looks again when somebody wants to know and the last look is kSurroundingsLife old: who asks waits for it, nobody
// else, and an idle server looks at nothing. On the loop's thread; files are read by a worker.
class SurroundingsWatch {
 public:
  using Callback = absl::AnyInvocable<void(const Surroundings&)>;

  // Looks for the first time. References outlive the watch.
  SurroundingsWatch(EventLoop& loop, SurroundingsOptions options, Logger& logger);
  SurroundingsWatch(const SurroundingsWatch&) = delete;
  SurroundingsWatch& operator=(const SurroundingsWatch&) = delete;
  ~SurroundingsWatch();

  // `callback` gets what is no older than `max_age`, at once or in a later turn. Dropped when the watch ends before.
  void Get(Duration max_age, Callback callback);
  // As they were last seen.
  const Surroundings& last() const;

 private:
  struct State;

  EventLoop& loop_;
  const std::shared_ptr<State> state_;
  WorkerPool worker_;
};

// How old a look may be for most purposes (spec/dns.md section 4), and for turning somebody away: the host may have got
// an address in the network just now.
inline constexpr Duration kSurroundingsLife = absl::Seconds(5);
inline constexpr Duration kRefusalLife = absl::Milliseconds(200);

}  // namespace weave
