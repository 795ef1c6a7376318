#include "peer/dns_setup.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weave {

absl::StatusOr<DnsServerOptions> MakeDnsServerOptions(const WeaverOptions& options) {
  DnsServerOptions dns;
  const std::string& text = options.dns_listen_address;
  const absl::StatusOr<SocketAddress> listen =
      SocketAddress::Parse(absl::StartsWith(text, ":") ? absl::StrCat("0.0.0.0", text) : text);
  if (!listen.ok())
    return absl::InvalidArgumentError(absl::StrCat("--dns-listen-address: invalid value \"", text,
                                                   "\": want an IP address and a port, as in 172.17.0.1:53"));
  dns.listen = *listen;
  dns.ttl_seconds = static_cast<std::uint32_t>(options.dns_ttl);
  dns.upstream_timeout = options.dns_fallback_timeout;
  if (!options.resolv_conf.empty()) dns.resolv_conf = options.resolv_conf;
  dns.bridges = {options.weave_bridge};
  if (!options.docker_bridge.empty()) dns.bridges.push_back(options.docker_bridge);
  if (options.ipalloc_range.has_value()) dns.networks.push_back(*options.ipalloc_range);
  return dns;
}

}  // namespace weave
