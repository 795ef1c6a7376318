#include "cli/docker_bridge.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "io/fd.h"

namespace weave {
namespace {

constexpr std::uint16_t kDnsPort = 53;

bool IsFreeOnLoopback(int type) {
  const Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(kDnsPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

std::string DockerBridge(const Environment& environment) {
  const std::string bridge = ValueOf(environment, "DOCKER_BRIDGE");
  return bridge.empty() ? "docker0" : bridge;
}

std::optional<std::string> DockerBridgeIp(const Environment& environment) {
  const std::string bridge = DockerBridge(environment);
  ifaddrs* head = nullptr;
  if (::getifaddrs(&head) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(head, &::freeifaddrs);
  for (const ifaddrs* entry = head; entry != nullptr; entry = entry->ifa_next) {
    if (bridge != entry->ifa_name || entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr, text, sizeof text);
    return text;
  }
  return std::nullopt;
}

std::string DefaultDnsAddress(const Environment& environment) {
  if (const std::optional<std::string> bridge = DockerBridgeIp(environment))
    return absl::StrCat(*bridge, ":", kDnsPort);
  const bool free = IsFreeOnLoopback(SOCK_DGRAM) && IsFreeOnLoopback(SOCK_STREAM);
  return absl::StrCat("127.0.0.1:", free ? kDnsPort : 0);
}

}  // namespace weave
