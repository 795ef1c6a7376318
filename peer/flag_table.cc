#include "peer/flag_table.h"

#include <type_traits>
#include <utility>

#include "base/status.h"
#include "peer/flag_values.h"

namespace weave {
namespace {

constexpr int kMaxPort = 65534;      // the data path takes the next one (contract A3-03)
constexpr int kMaxTtl = 2147483647;  // RFC 2181 section 8

template <auto kField, auto kParse>
absl::Status Set(absl::string_view text, WeaverOptions& options) {
  ASSIGN_OR_RETURN(options.*kField, kParse(text));
  return absl::OkStatus();
}

absl::Status AddProxyAddress(absl::string_view text, WeaverOptions& options) {
  ASSIGN_OR_RETURN(std::string address, ParseProxyAddress(text));
  options.proxy_listen.push_back(std::move(address));
  return absl::OkStatus();
}

template <auto kField>
bool Differs(const WeaverOptions& options, const WeaverOptions& defaults) {
  return options.*kField != defaults.*kField;
}

template <auto kField, auto kParse>
constexpr FlagSpec Value(const char* group, const char* name, const char* hint, const char* default_text,
                         const char* help, Feature feature = Feature::kPresent, const char* variable = nullptr) {
  return {group, name, hint, default_text, help, feature, variable, &Set<kField, kParse>, &Differs<kField>};
}

template <auto kField>
constexpr FlagSpec Switch(const char* group, const char* name, const char* help, Feature feature = Feature::kPresent) {
  return {group, name, nullptr, "false", help, feature, nullptr, &Set<kField, &ParseFlagBool>, &Differs<kField>};
}

template <auto kField, auto kParse>
constexpr FlagSpec DnsValue(const char* name, const char* hint, const char* default_text, const char* help) {
  return Value<kField, kParse>("Names", name, hint, default_text, help);
}

template <auto kAction>
absl::Status SetAction(absl::string_view text, WeaverOptions& options) {
  ASSIGN_OR_RETURN(const bool on, ParseFlagBool(text));
  if (on) {
    // Printing wins over acting, whatever the order.
    if (options.action < kAction) options.action = kAction;
  } else if (options.action == kAction) {
    options.action = WeaverAction::kRun;
  }
  return absl::OkStatus();
}

template <auto kAction>
constexpr FlagSpec Action(const char* name, const char* help) {
  return {"General",
          name,
          nullptr,
          "false",
          help,
          Feature::kPresent,
          nullptr,
          &SetAction<kAction>,
          &Differs<&WeaverOptions::action>};
}

using Options = WeaverOptions;
constexpr const char* kHttpHint = "ADDRESS";

constexpr FlagSpec kFlags[] = {
    Action<WeaverAction::kPrintHelp>("help", "print this and exit"),
    Action<WeaverAction::kPrintVersion>("version", "print the version and exit"),
    Action<WeaverAction::kPrintPeerName>("print-peer-name", "print the name this peer would have and exit"),
    Action<WeaverAction::kCleanup>(
        "cleanup", "remove interfaces, bridge and rules that a peer which no longer runs left, and exit"),
    Action<WeaverAction::kDeleteDatapath>("delete-datapath",
                                          "delete the Open vSwitch datapath named by --datapath, and exit"),
    Value<&Options::name, &ParseOptionalPeerName>("General", "name", "NAME", "",
                                                  "name of this peer; blank: derived from this machine"),
    Value<&Options::nickname, &ParseText>("General", "nickname", "TEXT", "", "name for people; blank: the host's name"),
    Value<&Options::log_level, &ParseFlagLogLevel>("General", "log-level", "LEVEL", "info",
                                                   "debug, info, warning or error"),
    Value<&Options::db_prefix, &ParsePath>("General", "db-prefix", "PREFIX", "/weavedb/weave",
                                           "path and prefix of the file that holds the peer's state"),
    Value<&Options::proc_path, &ParsePath>("General", "proc-path", "DIR", "/proc", "where the host's /proc is"),
    Value<&Options::host_root, &ParseOptionalPath>("General", "host-root", "DIR", "", "where the host's root is"),
    Value<&Options::profile, &ParseOptionalPath>("General", "profile", "DIR", "", "write CPU profiles there",
                                                 Feature::kProfile),

    Value<&Options::api_socket, &ParseSocketPath>("Listeners", "api-socket", "PATH", "/run/weave/peer.sock",
                                                  "socket for the weave command and the plugins", Feature::kPresent,
                                                  "WEAVE_API_SOCKET"),
    Value<&Options::http_addr, &ParseListenAddress>("Listeners", "http-addr", kHttpHint, "",
                                                    "HTTP control, host:port or the path of a unix socket; blank: off"),
    Value<&Options::status_addr, &ParseListenAddress>("Listeners", "status-addr", kHttpHint, "",
                                                      "HTTP status and metrics; blank: off"),
    Value<&Options::metrics_addr, &ParseListenAddress>("Listeners", "metrics-addr", kHttpHint, "",
                                                       "HTTP metrics only; blank: off"),

    Value<&Options::weave_bridge, &ParseInterfaceName>("Host network", "weave-bridge", "NAME", "weave",
                                                       "name of the bridge"),
    Value<&Options::docker_bridge, &ParseOptionalInterfaceName>(
        "Host network", "docker-bridge", "NAME", "",
        "Docker's bridge, to keep apart from ours; blank: no rules for it"),
    Value<&Options::docker_api, &ParseDockerApi>("Host network", "docker-api", "ENDPOINT",
                                                 "unix:///var/run/docker.sock", "Docker's API; blank: no Docker",
                                                 Feature::kPresent, "DOCKER_HOST"),
    Value<&Options::mtu, &ParseMtu>("Host network", "mtu", "BYTES", "0",
                                    "MTU of bridge and containers, 68 to 65535; 0: the overlay's", Feature::kPresent,
                                    "WEAVE_MTU"),
    Switch<&Options::no_fastdp>("Host network", "no-fastdp", "plain bridge, no fast datapath"),
    Switch<&Options::no_bridged_fastdp>("Host network", "no-bridged-fastdp",
                                        "fast datapath whose datapath is the bridge; containers are its ports"),
    Value<&Options::datapath, &ParseOptionalInterfaceName>(
        "Host network", "datapath", "NAME", "",
        "name of the Open vSwitch datapath; blank: datapath, or the bridge's with --no-bridged-fastdp"),
    Switch<&Options::expect_npc>("Host network", "expect-npc", "rules for the network policy controller",
                                 Feature::kPolicy),
    Switch<&Options::awsvpc>("Host network", "awsvpc", "routes of AWS VPC instead of an overlay", Feature::kAwsVpc),
    Value<&Options::bufsz, &ParseFlagInt<1, 2047>>("Host network", "bufsz", "MB", "8",
                                                   "buffer of the packet capture, 1 to 2047"),
    Switch<&Options::pkt_debug>("Host network", "pkt-debug", "log every captured packet"),

    Value<&Options::host, &ParseOptionalHost>("Peers", "host", "HOST", "",
                                              "address to bind to; blank: all addresses of this host"),
    Value<&Options::port, &ParseFlagInt<1, kMaxPort>>("Peers", "port", "PORT", "6783",
                                                      "TCP and UDP port, 1 to 65534; the next one is used too"),
    Switch<&Options::resume>("Peers", "resume", "connect to the peers of the last run"),
    Switch<&Options::no_discovery>("Peers", "no-discovery", "connect only to the peers given"),
    Value<&Options::conn_limit, &ParseFlagInt<0, 1'000'000>>("Peers", "conn-limit", "COUNT", "200",
                                                             "connections at most; 0: no limit"),
    Value<&Options::min_protocol_version, &ParseFlagInt<1, 2>>("Peers", "min-protocol-version", "N", "1",
                                                               "lowest protocol version, 1 to 2"),
    Value<&Options::password, &ParseSecret>("Peers", "password", "TEXT", "",
                                            "password of the network; blank: no encryption", Feature::kPresent,
                                            "WEAVE_PASSWORD"),
    Value<&Options::trusted_subnets, &ParseNetworks>("Peers", "trusted-subnets", "CIDR,...", "",
                                                     "peers there need no encryption"),
    Value<&Options::token, &ParseText>("Peers", "token", "TEXT", "", "token of the peer discovery service",
                                       Feature::kDiscoveryService),
    Value<&Options::peer_discovery_url, &ParseHttpUrl>(
        "Peers", "peer-discovery-url", "URL", "https://cloud.weave.works/api/net",
        "where the peer discovery service is", Feature::kDiscoveryService),
    Value<&Options::advertise_address, &ParsePeerAddresses>("Peers", "advertise-address", "HOST,...", "",
                                                            "addresses given to the peer discovery service",
                                                            Feature::kDiscoveryService),

    Value<&Options::ipalloc_range, &ParseOptionalSubnet>("Addresses", "ipalloc-range", "CIDR", "",
                                                         "range to allocate from, the same on all peers; blank: none"),
    Value<&Options::ipalloc_default_subnet, &ParseOptionalSubnet>("Addresses", "ipalloc-default-subnet", "CIDR", "",
                                                                  "where addresses come from; blank: the whole range"),
    Value<&Options::ipalloc_init, &ParseIpamStart>("Addresses", "ipalloc-init", "MODE", "",
                                                   "consensus[=COUNT], seed=NAME,... or observer"),
    Switch<&Options::no_masq_local>("Addresses", "no-masq-local",
                                    "keep the source address of traffic to local containers", Feature::kIpam),

    Switch<&Options::no_dns>("Names", "no-dns", "no name server"),
    DnsValue<&Options::dns_domain, &ParseDomain>("dns-domain", "DOMAIN", "weave.local.", "domain to answer for"),
    DnsValue<&Options::dns_listen_address, &ParseHostPort>("dns-listen-address", "HOST:PORT", "0.0.0.0:53",
                                                           "where to listen"),
    DnsValue<&Options::dns_ttl, &ParseFlagInt<0, kMaxTtl>>("dns-ttl", "SECONDS", "1", "time to live of our answers"),
    DnsValue<&Options::dns_fallback_timeout, &ParsePositiveDuration>("dns-fallback-timeout", "TIME", "5s",
                                                                     "how long to wait for other name servers"),
    DnsValue<&Options::resolv_conf, &ParseOptionalPath>("resolv-conf", "FILE", "", "lists the other name servers"),

    Switch<&Options::plugin>("Docker plugin", "plugin", "the Docker plugin (v1) runs; weave launch starts it"),
    Switch<&Options::plugin_v2>("Docker plugin", "plugin-v2", "this is a managed Docker plugin"),
    Switch<&Options::plugin_v2_multicast>("Docker plugin", "plugin-v2-multicast",
                                          "multicast route in all its networks"),
    Value<&Options::plugin_socket, &ParseOptionalSocketPath>("Docker plugin", "plugin-socket", "PATH",
                                                             "/run/docker/plugins/weave.sock",
                                                             "socket of driver weave; blank: off"),
    Value<&Options::plugin_mesh_socket, &ParseOptionalSocketPath>("Docker plugin", "plugin-mesh-socket", "PATH",
                                                                  "/run/docker/plugins/weavemesh.sock",
                                                                  "socket of driver weavemesh; blank: off"),

    Switch<&Options::proxy>("Docker API proxy", "proxy", "run the Docker API proxy", Feature::kProxy),
    {"Docker API proxy", "H", "ADDRESS", "", "where it listens: unix:///path, tcp://host:port; may be repeated",
     Feature::kProxy, nullptr, &AddProxyAddress, &Differs<&Options::proxy_listen>},
    Switch<&Options::tls>("Docker API proxy", "tls", "TLS; needs --tlscert and --tlskey", Feature::kProxy),
    Switch<&Options::tlsverify>("Docker API proxy", "tlsverify",
                                "TLS that asks for a client certificate; needs --tlscacert too", Feature::kProxy),
    Value<&Options::tlscacert, &ParseOptionalPath>("Docker API proxy", "tlscacert", "FILE", "", "who signs clients",
                                                   Feature::kProxy),
    Value<&Options::tlscert, &ParseOptionalPath>("Docker API proxy", "tlscert", "FILE", "", "our certificate",
                                                 Feature::kProxy),
    Value<&Options::tlskey, &ParseOptionalPath>("Docker API proxy", "tlskey", "FILE", "", "its key", Feature::kProxy),
    Value<&Options::hostname_from_label, &ParseText>("Docker API proxy", "hostname-from-label", "LABEL", "",
                                                     "label that gives a container's host name", Feature::kProxy),
    Value<&Options::hostname_match, &ParseRegexp>("Docker API proxy", "hostname-match", "REGEXP", "(.*)",
                                                  "what of its name or label gives the host name", Feature::kProxy),
    Value<&Options::hostname_replacement, &ParseText>("Docker API proxy", "hostname-replacement", "TEXT", "$1",
                                                      "the host name made of it", Feature::kProxy),
    Switch<&Options::rewrite_inspect>("Docker API proxy", "rewrite-inspect", "docker inspect shows our addresses",
                                      Feature::kProxy),
    Switch<&Options::no_default_ipalloc>("Docker API proxy", "no-default-ipalloc", "no address without WEAVE_CIDR",
                                         Feature::kProxy),
    Switch<&Options::no_rewrite_hosts>("Docker API proxy", "no-rewrite-hosts", "leave /etc/hosts of containers alone",
                                       Feature::kProxy),
    Switch<&Options::without_dns>("Docker API proxy", "without-dns", "containers keep Docker's name servers",
                                  Feature::kProxy),
    Switch<&Options::no_multicast_route>("Docker API proxy", "no-multicast-route", "no multicast route in containers",
                                         Feature::kProxy),
};

}  // namespace

absl::string_view FeatureName(Feature feature) {
  switch (feature) {
    case Feature::kPresent:
      return "present";
    case Feature::kDiscoveryService:
      return "peer discovery service";
    case Feature::kIpam:
      return "local address ranges";
    case Feature::kProxy:
      return "Docker API proxy";
    case Feature::kPolicy:
      return "network policy";
    case Feature::kAwsVpc:
      return "AWS VPC";
    case Feature::kProfile:
      return "profiling";
  }
  return "";
}

absl::Span<const FlagSpec> FlagTable() { return kFlags; }

}  // namespace weave
