#include "dns/os/dns_server.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "dns/os/dns_datagrams.h"
#include "dns/os/dns_session.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

// Batches of datagrams in one turn of the loop, so that others have theirs.
constexpr int kBatchesInTurn = 4;

// Queries that may wait for one look around.
constexpr std::size_t kMaxWaiting = 1024;

constexpr int kBacklog = 64;
constexpr Duration kAcceptPause = absl::Seconds(1);

void SetOption(int fd, int level, int option, int value) { ::setsockopt(fd, level, option, &value, sizeof value); }

absl::StatusOr<Fd> Bind(const SocketAddress& address, int type) {
  const std::string what = absl::StrCat("listen on ", address.ToString(), type == SOCK_DGRAM ? " (UDP)" : " (TCP)");
  Fd fd(::socket(FamilyOf(address.ip), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, what);
  if (type == SOCK_STREAM) SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (!address.ip.IsV4()) SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (IsUnspecified(address.ip)) {
    if (address.ip.IsV4())
      SetOption(fd.get(), IPPROTO_IP, IP_PKTINFO, 1);
    else
      SetOption(fd.get(), IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  }
  const KernelAddress kernel(address);
  if (::bind(fd.get(), kernel.get(), kernel.size()) != 0) return ErrnoError(errno, what);
  if (type == SOCK_STREAM && ::listen(fd.get(), kBacklog) != 0) return ErrnoError(errno, what);
  return fd;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DnsServer>> DnsServer::Listen(EventLoop& loop, const NameRegistry& names,
                                                             EntropySource& entropy, const DnsServerOptions& options,
                                                             Logger& logger) {
  ASSIGN_OR_RETURN(Fd udp, Bind(options.listen, SOCK_DGRAM));
  ASSIGN_OR_RETURN(const SocketAddress address, LocalAddressOf(udp.get()));
  ASSIGN_OR_RETURN(Fd tcp, Bind(address, SOCK_STREAM));
  return std::unique_ptr<DnsServer>(
      new DnsServer(loop, names, entropy, options, logger, address, std::move(udp), std::move(tcp)));
}

DnsServer::DnsServer(EventLoop& loop, const NameRegistry& names, EntropySource& entropy,
                     const DnsServerOptions& options, Logger& logger, const SocketAddress& address, Fd udp, Fd tcp)
    : loop_(loop),
      resolver_(names, options.ttl_seconds, Random(entropy.Next())),
      address_(address),
      surroundings_(loop, {options.resolv_conf, address, options.bridges, options.networks}, logger),
      forwarder_(loop, entropy, options.upstream_timeout),
      udp_(std::move(udp)),
      tcp_(std::move(tcp)),
      datagrams_(std::make_unique<DnsDatagrams>(udp_.get())),
      udp_watch_(loop.WatchReadable(udp_.get(), [this] { ReceiveDatagrams(); })),
      accept_again_(loop.MakeTimer([this] { AcceptAgain(); })) {
  AcceptAgain();
}

DnsServer::~DnsServer() = default;

void DnsServer::ReceiveDatagrams() {
  for (int batch = 0; batch < kBatchesInTurn; ++batch) {
    const int count = datagrams_->Serve([this](ByteView query, const DnsReturnPath& path, Bytes& out) {
      Handle(query, Transport::kUdp, FromKernel(path.client).ip, out,
             [&]() -> Reply { return [this, path](ByteView answer) { datagrams_->Send(path, answer); }; });
    });
    if (count < DnsDatagrams::kBatchCount) return;
  }
}

void DnsServer::Handle(ByteView query, Transport transport, const IpAddress& client, Bytes& out,
                       absl::FunctionRef<Reply()> reply) {
  ++stats_.query_count;
  if (resolver_.Resolve(query, transport, out) != NameResolver::Outcome::kAskUpstream) return;
  if (waiting_count_ >= kMaxWaiting) {
    ++stats_.refused_count;
    return resolver_.AnswerWith(DnsCode::kServerFailure, out);
  }
  ++waiting_count_;
  auto waiting = std::make_shared<Waiting>(Waiting{client, transport, Bytes(query.begin(), query.end()), reply()});
  surroundings_.Get(kSurroundingsLife, [this, waiting = std::move(waiting)](const Surroundings& surroundings) mutable {
    if (MayAskUpstream(surroundings, waiting->client)) return AskOthers(surroundings, *waiting);
    surroundings_.Get(kRefusalLife,
                      [this, waiting = std::move(waiting)](const Surroundings& fresh) { AskOthers(fresh, *waiting); });
  });
}

void DnsServer::AskOthers(const Surroundings& surroundings, Waiting& waiting) {
  --waiting_count_;
  const Bytes& query = waiting.query;
  const auto say = [&query](DnsCode code) {
    DnsQuery read;
    Bytes answer;
    ReadDnsQuery(query, read);
    DnsAnswerWriter(read, code, /*authoritative=*/false, answer);
    return answer;
  };
  if (!MayAskUpstream(surroundings, waiting.client)) {
    ++stats_.refused_count;
    return waiting.reply(say(DnsCode::kRefused));
  }
  const auto shared = std::make_shared<Reply>(std::move(waiting.reply));
  const bool going = forwarder_.Forward(surroundings.servers, waiting.client, waiting.transport == Transport::kTcp,
                                        query, [shared, failure = say(DnsCode::kServerFailure)](const Bytes& answer) {
                                          (*shared)(answer.empty() ? failure : answer);
                                        });
  ++(going ? stats_.forwarded_count : stats_.refused_count);
  if (!going) (*shared)(say(DnsCode::kServerFailure));
}

// ---- TCP ----

void DnsServer::AcceptAgain() {
  if (tcp_watch_ == nullptr && sessions_.size() < kMaxDnsConnections)
    tcp_watch_ = loop_.WatchReadable(tcp_.get(), [this] { Accept(); });
}

// Without room or a descriptor, connections wait in the kernel.
void DnsServer::Accept() {
  sockaddr_storage remote = {};
  socklen_t size = sizeof remote;
  Fd fd(::accept4(tcp_.get(), reinterpret_cast<sockaddr*>(&remote), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd.valid()) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    tcp_watch_.reset();
    return accept_again_->Arm(loop_.now().monotonic + kAcceptPause);
  }
  const std::uint64_t number = ++last_session_;
  const SocketAddress client = FromKernel(remote);
  DnsSession::Callbacks callbacks;
  callbacks.on_query = [this, number, ip = client.ip](ByteView query) {
    Bytes answer;
    bool later = false;
    Handle(query, Transport::kTcp, ip, answer, [&]() -> Reply {
      later = true;
      return [this, number](ByteView late) {
        if (const auto session = sessions_.find(number); session != sessions_.end()) session->second->Answer(late);
      };
    });
    if (!later) sessions_.at(number)->Answer(answer);
  };
  callbacks.on_end = [this, number] { Close(number); };
  sessions_.emplace(
      number, std::make_unique<DnsSession>(loop_, std::move(fd), client, kDnsConnectionLife, std::move(callbacks)));
  if (sessions_.size() >= kMaxDnsConnections) tcp_watch_.reset();
}

// Within a callback of the session, whose code goes on: it ends with the turn.
void DnsServer::Close(std::uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  loop_.Post([ended = std::shared_ptr<DnsSession>(std::move(found->second))] {});
  sessions_.erase(found);
  AcceptAgain();
}

}  // namespace weave
