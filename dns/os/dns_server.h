// The name server's sockets: UDP in batches, TCP in sessions, and the forwarder behind both. Answers what the resolver
// knows at once, on the loop's thread; whatever must be asked of others comes back later.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "base/entropy.h"
#include "base/log.h"
#include "base/socket_address.h"
#include "dns/name_registry.h"
#include "dns/name_resolver.h"
#include "dns/os/forwarder.h"
#include "dns/os/surroundings.h"
#include "io/event_loop.h"
#include "io/fd.h"

namespace weave {

class DnsDatagrams;
class DnsSession;

struct DnsServerOptions {
  SocketAddress listen;  // port 0: any free one
  std::uint32_t ttl_seconds = 1;
  Duration upstream_timeout = absl::Seconds(5);
  std::string resolv_conf = "/etc/resolv.conf";
  std::vector<std::string> bridges;  // whose networks, with `networks`, hold clients that may have others asked
  std::vector<Cidr> networks;
};

// Connections of clients over TCP; more wait in the kernel. An idle one is closed.
inline constexpr std::size_t kMaxDnsConnections = 128;
inline constexpr Duration kDnsConnectionLife = absl::Seconds(10);

struct DnsServerStats {
  std::uint64_t query_count = 0;      // over UDP and TCP, whatever became of them
  std::uint64_t forwarded_count = 0;  // carried to another server
  std::uint64_t refused_count = 0;    // those of strangers, and those too many
};

// On the loop's thread.
class DnsServer {
 public:
  // Listens on UDP and TCP. Errors name the address: AlreadyExists when the port is taken, FailedPrecondition when it
  // is no address of this host, PermissionDenied. References outlive the server.
  static absl::StatusOr<std::unique_ptr<DnsServer>> Listen(EventLoop& loop, const NameRegistry& names,
                                                           EntropySource& entropy, const DnsServerOptions& options,
                                                           Logger& logger);
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;
  ~DnsServer();

  // With the real port.
  const SocketAddress& address() const { return address_; }
  const DnsServerStats& stats() const { return stats_; }
  // The other name servers, as they were last seen.
  const std::vector<SocketAddress>& upstreams() const { return surroundings_.last().servers; }

 private:
  using Transport = NameResolver::Transport;
  using Reply = absl::AnyInvocable<void(ByteView answer)>;
  // A query for others, until it is known whom to ask and whether.
  struct Waiting {
    IpAddress client;
    Transport transport;
    Bytes query;
    Reply reply;
  };

  DnsServer(EventLoop& loop, const NameRegistry& names, EntropySource& entropy, const DnsServerOptions& options,
            Logger& logger, const SocketAddress& address, Fd udp, Fd tcp);

  void ReceiveDatagrams();
  // Answers into `out`. What must be asked of others goes there, and `reply` gets it; nothing is in `out` then.
  void Handle(ByteView query, Transport transport, const IpAddress& client, Bytes& out,
              absl::FunctionRef<Reply()> reply);
  void AskOthers(const Surroundings& surroundings, Waiting& waiting);
  void Accept();
  void AcceptAgain();
  void Close(std::uint64_t session);

  EventLoop& loop_;
  NameResolver resolver_;
  SocketAddress address_;
  SurroundingsWatch surroundings_;
  Forwarder forwarder_;
  const Fd udp_;
  const Fd tcp_;
  std::unique_ptr<DnsDatagrams> datagrams_;
  std::size_t waiting_count_ = 0;  // queries that wait for a look around
  std::map<std::uint64_t, std::unique_ptr<DnsSession>> sessions_;
  std::uint64_t last_session_ = 0;
  DnsServerStats stats_;
  std::unique_ptr<FdWatch> udp_watch_;
  std::unique_ptr<FdWatch> tcp_watch_;  // null: as many sessions as there may be, or no descriptor
  std::unique_ptr<Timer> accept_again_;
};

}  // namespace weave
