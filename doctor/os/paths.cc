// The kernel's ways to other peers: a UDP socket is connected to each, which sends nothing, and asked.
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "doctor/os/gather.h"
#include "io/fd.h"

namespace weave {
namespace {

constexpr std::uint16_t kAnyPort = 9;  // discard; nothing is sent there

sockaddr_in KernelAddressOf(const IpAddress& address) {
  sockaddr_in kernel = {};
  kernel.sin_family = AF_INET;
  kernel.sin_port = htons(kAnyPort);
  kernel.sin_addr.s_addr = htonl(address.v4());
  return kernel;
}

// The interface that has the address; empty: none.
std::string DeviceOf(const in_addr& local) {
  ifaddrs* head = nullptr;
  if (::getifaddrs(&head) != 0) return "";
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(head, &::freeifaddrs);
  for (const ifaddrs* entry = head; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    if (reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr.s_addr == local.s_addr) return entry->ifa_name;
  }
  return "";
}

PathFacts PathTo(const IpAddress& remote) {
  PathFacts path;
  path.address = remote.ToString();
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in kernel = KernelAddressOf(remote);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) != 0) {
    path.error = std::strerror(errno);
    return path;
  }
  int mtu = 0;
  socklen_t size = sizeof mtu;
  if (::getsockopt(fd.get(), IPPROTO_IP, IP_MTU, &mtu, &size) == 0) path.mtu_bytes = static_cast<std::uint32_t>(mtu);
  sockaddr_in local = {};
  size = sizeof local;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0) {
    path.device = DeviceOf(local.sin_addr);
    path.local = IpAddress::V4(ntohl(local.sin_addr.s_addr)).ToString();
  }
  return path;
}

}  // namespace

void GatherPaths(const std::vector<IpAddress>& remotes, std::vector<PathFacts>& paths) {
  for (const IpAddress& remote : remotes)
    if (remote.IsV4()) paths.push_back(PathTo(remote));
}

}  // namespace weave
