#include "dns/os/surroundings.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "io/file.h"
#include "io/sockaddr.h"

namespace weave {
namespace {

constexpr std::uint16_t kDnsPort = 53;

bool IsLoopback(const IpAddress& ip) { return ip.IsV4() ? ip.v4() >> 24 == 127 : ip == IpAddress::V6(1); }

struct LocalAddress {
  std::string interface;
  IpAddress ip;
  int prefix_length = 0;
};

SocketAddress FromSockaddr(const sockaddr& address) {
  sockaddr_storage storage = {};
  std::memcpy(&storage, &address, address.sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return FromKernel(storage);
}

int PrefixLength(const sockaddr* mask) {
  if (mask == nullptr) return 0;
  int length = 0;
  for (const std::uint8_t byte : FromSockaddr(*mask).ip.ToBytes()) length += std::popcount(byte);
  return length;
}

std::vector<LocalAddress> LocalAddresses() {
  std::vector<LocalAddress> addresses;
  ifaddrs* head = nullptr;
  if (::getifaddrs(&head) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(head, &::freeifaddrs);
  for (const ifaddrs* entry = head; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr) continue;
    if (entry->ifa_addr->sa_family != AF_INET && entry->ifa_addr->sa_family != AF_INET6) continue;
    addresses.push_back({entry->ifa_name, FromSockaddr(*entry->ifa_addr).ip, PrefixLength(entry->ifa_netmask)});
  }
  return addresses;
}

// Interfaces of the default routes: behind them are strangers.
std::set<std::string> WaysOutside() {
  std::set<std::string> interfaces;
  const absl::StatusOr<std::string> routes = ReadSmallFile("/proc/net/route");
  if (!routes.ok()) return interfaces;
  for (const absl::string_view line : absl::StrSplit(*routes, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, '\t');
    if (fields.size() > 1 && fields[1] == "00000000") interfaces.emplace(fields[0]);
  }
  return interfaces;
}

bool IsBridge(const std::string& interface) {
  return ::access(absl::StrCat("/sys/class/net/", interface, "/bridge").c_str(), F_OK) == 0;
}

std::vector<Cidr> ClientNetworks(const SurroundingsOptions& options, const std::vector<LocalAddress>& addresses) {
  std::vector<Cidr> networks = options.networks;
  const std::set<std::string> outside = WaysOutside();
  for (const LocalAddress& local : addresses) {
    const bool named =
        std::find(options.bridges.begin(), options.bridges.end(), local.interface) != options.bridges.end();
    const bool inside =
        named || IsLoopback(local.ip) || (IsBridge(local.interface) && !outside.contains(local.interface));
    networks.emplace_back(local.ip, inside ? local.prefix_length : BitCount(local.ip.family()));
  }
  return networks;
}

// Asking ourselves would go on for ever.
bool IsOurselves(const SocketAddress& listen, const IpAddress& server, const std::vector<LocalAddress>& addresses) {
  if (listen.port != kDnsPort) return false;
  if (listen.ip == server) return true;
  if (!IsUnspecified(listen.ip)) return false;
  return IsLoopback(server) ||
         std::any_of(addresses.begin(), addresses.end(), [&](const LocalAddress& l) { return l.ip == server; });
}

}  // namespace

std::vector<IpAddress> ParseResolvConf(absl::string_view text) {
  std::vector<IpAddress> servers;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2 || words[0] != "nameserver") continue;
    // A scope (`fe80::1%eth0`) is more than an address here has.
    const absl::StatusOr<IpAddress> server = IpAddress::Parse(words[1]);
    if (server.ok() && std::find(servers.begin(), servers.end(), *server) == servers.end()) servers.push_back(*server);
  }
  return servers;
}

bool MayAskUpstream(const Surroundings& surroundings, const IpAddress& client) {
  return std::any_of(surroundings.clients.begin(), surroundings.clients.end(), [&](const Cidr& network) {
    return network.address().family() == client.family() &&
           (network.prefix_length() == BitCount(client.family())
                ? network.address() == client
                : network.prefix_length() > 0 && network.Contains(client));
  });
}

Surroundings LookAround(const SurroundingsOptions& options, Logger& logger) {
  const std::vector<LocalAddress> addresses = LocalAddresses();
  Surroundings found;
  found.clients = ClientNetworks(options, addresses);
  const absl::StatusOr<std::string> text = ReadSmallFile(options.resolv_conf);
  if (!text.ok()) {
    logger.Debug("no other name servers are known", {{"reason", text.status().message()}});
    return found;
  }
  for (const IpAddress& server : ParseResolvConf(*text)) {
    if (found.servers.size() == kMaxNameServers) break;
    if (!IsOurselves(options.listen, server, addresses)) found.servers.push_back({server, kDnsPort});
  }
  return found;
}

struct SurroundingsWatch::State {
  SurroundingsOptions options;
  Logger& logger;
  Surroundings current;
  MonotonicTime looked_at;
  bool looking = false;
  std::vector<Callback> waiting;
};

SurroundingsWatch::SurroundingsWatch(EventLoop& loop, SurroundingsOptions options, Logger& logger)
    : loop_(loop),
      state_(std::make_shared<State>(State{std::move(options), logger, {}, loop.now().monotonic, false, {}})),
      worker_("resolv.conf", 1) {
  state_->current = LookAround(state_->options, logger);
}

SurroundingsWatch::~SurroundingsWatch() = default;

const Surroundings& SurroundingsWatch::last() const { return state_->current; }

void SurroundingsWatch::Get(Duration max_age, Callback callback) {
  if (loop_.now().monotonic - state_->looked_at < max_age) return callback(state_->current);
  state_->waiting.push_back(std::move(callback));
  if (std::exchange(state_->looking, true)) return;
  worker_.Submit([loop = &loop_, weak = std::weak_ptr<State>(state_)] {
    const std::shared_ptr<State> state = weak.lock();
    if (state == nullptr) return;
    loop->Post([loop, weak, found = LookAround(state->options, state->logger)]() mutable {
      const std::shared_ptr<State> current = weak.lock();
      if (current == nullptr) return;
      current->looking = false;
      current->looked_at = loop->now().monotonic;
      if (found.servers != current->current.servers)
        current->logger.Info("other name servers",
                             {{"count", found.servers.size()}, {"file", current->options.resolv_conf}});
      current->current = std::move(found);
      for (Callback& waiting : std::exchange(current->waiting, {})) waiting(current->current);
    });
  });
}

}  // namespace weave
