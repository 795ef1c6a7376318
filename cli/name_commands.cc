// Commands about names: dns-add, dns-remove, dns-lookup, dns-args.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/ip.h"
#include "cli/commands.h"
#include "cli/docker_bridge.h"

namespace weave {
namespace {

constexpr std::uint32_t kDnsPort = 53;            // the only one that resolvers ask
constexpr char kExternHolder[] = "weave:extern";  // of names that no container has

// `10.2.1.9`, `ip:10.2.1.9` or `10.2.1.9/24`, as the address alone.
std::optional<std::string> PlainAddress(absl::string_view arg) {
  absl::ConsumePrefix(&arg, "ip:");
  if (const absl::StatusOr<IpAddress> address = IpAddress::Parse(arg); address.ok()) return address->ToString();
  if (const absl::StatusOr<Cidr> cidr = Cidr::Parse(arg); cidr.ok()) return cidr->address().ToString();
  return std::nullopt;
}

// [<ip> ...] <container> [-h <fqdn>], or <ip> ... -h <fqdn>.
struct NameTarget {
  std::vector<std::string> addresses;
  std::string container;  // empty: none
  std::string name;       // empty: the container's own
};

std::optional<NameTarget> ParseTarget(const CommandContext& context) {
  NameTarget target;
  auto arg = context.args.begin();
  const auto end = context.args.end();
  for (; arg != end; ++arg) {
    const std::optional<std::string> address = PlainAddress(*arg);
    if (!address.has_value()) break;
    target.addresses.push_back(*address);
  }
  if (arg != end && *arg != "-h") target.container = *arg++;
  if (end - arg == 2 && *arg == "-h") {
    target.name = arg[1];
    arg = end;
    if (target.name.empty()) return std::nullopt;
  }
  if (arg != end || absl::StartsWith(target.container, "-")) return std::nullopt;
  if (target.container.empty() && (target.addresses.empty() || target.name.empty())) return std::nullopt;
  std::error_code error;
  if (absl::StrContains(target.container, '/'))
    target.container = std::filesystem::absolute(target.container, error).lexically_normal();
  return target;
}

int FailNames(CommandContext& context, const absl::Status& status) {
  return absl::IsNotFound(status) && absl::StrContains(status.message(), "--no-dns") ? kExitNotFound
                                                                                     : Fail(context, status);
}

int AddNames(CommandContext& context, PeerClient& peer, const NameTarget& target) {
  NameTarget whole = target;
  std::string holder = kExternHolder;
  if (!target.container.empty()) {
    const absl::StatusOr<v1::ContainerInfo> info = peer.FindContainer(target.container);
    if (!info.ok()) return Fail(context, info.status());
    holder = info->id();
    if (whole.name.empty()) whole.name = info->hostname();
    if (whole.addresses.empty())
      for (const std::string& address : info->addresses()) whole.addresses.push_back(*PlainAddress(address));
    if (whole.name.empty())
      return Fail(context, absl::StrCat("\"", target.container, "\" has no host name that is known: want -h <fqdn>"));
    if (whole.addresses.empty())
      return Fail(context,
                  absl::StrCat("\"", target.container, "\" has no address in the network: attach it, or name one"));
  }
  for (const std::string& address : whole.addresses) {
    v1::AddNameRequest request;
    request.set_holder(holder);
    request.set_address(address);
    request.set_name(whole.name);
    if (const absl::Status added = peer.AddName(request); !added.ok()) return FailNames(context, added);
  }
  return kExitSuccess;
}

int RemoveNames(CommandContext& context, PeerClient& peer, const NameTarget& target) {
  std::string holder = kExternHolder;
  if (!target.container.empty()) {
    const absl::StatusOr<v1::ContainerInfo> info = peer.FindContainer(target.container);
    if (!info.ok()) return Fail(context, info.status());
    holder = info->id();
  }
  // Without an address all that the holder has.
  const std::vector<std::string> all = {""};
  for (const std::string& address : target.addresses.empty() ? all : target.addresses) {
    v1::RemoveNamesRequest request;
    request.set_holder(holder);
    request.set_address(address);
    request.set_name(target.name);
    if (const absl::Status removed = peer.RemoveNames(request); !removed.ok()) return FailNames(context, removed);
  }
  return kExitSuccess;
}

}  // namespace

int RunDnsAdd(CommandContext& context) {
  const std::optional<NameTarget> target = ParseTarget(context);
  if (!target.has_value()) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) { return AddNames(context, peer, *target); });
}

int RunDnsRemove(CommandContext& context) {
  const std::optional<NameTarget> target = ParseTarget(context);
  if (!target.has_value()) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) { return RemoveNames(context, peer, *target); });
}

int RunDnsLookup(CommandContext& context) {
  if (context.args.size() != 1 || absl::StartsWith(context.args[0], "-")) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::StatusOr<v1::AddressList> found = peer.LookupName(context.args[0]);
    if (!found.ok()) return FailNames(context, found.status());
    for (const std::string& address : found->addresses()) context.out << address << "\n";
    return kExitSuccess;
  });
}

// Nothing when names are off: `docker run $(weave dns-args) ...` works all the same (contract A2-09).
int RunDnsArgs(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::StatusOr<v1::DnsInfo> info = peer.GetDnsInfo();
    if (absl::IsNotFound(info.status())) return kExitSuccess;
    if (!info.ok()) return Fail(context, info.status());
    std::string address = info->listen_address();
    if (address == "0.0.0.0" || address == "::") {
      const std::optional<std::string> bridge = DockerBridgeIp(context.environment);
      if (!bridge.has_value())
        return Fail(context, "names are served at every address of this host, and Docker's bridge has none to name");
      address = *bridge;
    }
    // In a container 127.0.0.1 is the container itself.
    if (absl::StartsWith(address, "127.") || info->port() != kDnsPort)
      return Fail(context, absl::StrCat("names are served at ", info->listen_address(), ":", info->port(),
                                        ", which no container reaches: launch with --dns-listen-address"));
    context.out << "--dns=" << address << " --dns-search=" << info->domain() << "\n";
    return kExitSuccess;
  });
}

}  // namespace weave
