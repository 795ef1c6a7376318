// The command line of `weaver` (spec/contract.md A.3, A.4) as typed and checked values.
//
// Syntax as in 2.8: `--x v`, `--x=v` (one pair of quotes around v is dropped), `--bool`, `--bool=false`, `-H v`; `--`
// ends the flags; of a repeated flag the last counts, `-H` adds up; everything else is a peer. The parser is ours and
// not CLI11: that takes `--ipalloc-range= host2` for a flag whose value is host2, where a blank value switches a part
// off.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"

namespace weave {

enum class WeaverAction {
  kRun,
  kCleanup,  // remove what a dead peer left on the host and exit
  kDeleteDatapath,
  kPrintHelp,      // `--help`
  kPrintVersion,   // `--version`, or `version` as the first argument
  kPrintPeerName,  // `--print-peer-name`, or without dashes as the first argument
};

// How the address ring comes into being (spec/ipam.md section 5).
struct IpamStart {
  enum class Mode { kConsensus, kSeed, kObserver };

  Mode mode = Mode::kConsensus;
  std::uint32_t peer_count = 0;  // kConsensus; 0: guessed from the number of direct peers
  std::vector<PeerName> seeds;   // kSeed: at least one

  friend bool operator==(const IpamStart&, const IpamStart&) = default;
};

// What `weave launch` allocates from unless it is told otherwise.
inline constexpr char kDefaultIpallocRange[] = "10.32.0.0/12";

// One field a flag, in the flag's spelling; defaults are those of the flag.
struct WeaverOptions {
  WeaverAction action = WeaverAction::kRun;

  std::optional<PeerName> name;  // absent: derived
  std::string nickname;          // empty: the host's name
  LogLevel log_level = LogLevel::kInfo;
  std::string db_prefix = "/weavedb/weave";
  std::string proc_path = "/proc";
  std::string host_root;
  std::string profile;

  // Addresses are host:port or the absolute path of a unix socket; empty: no listener.
  std::string http_addr;
  std::string status_addr;
  std::string metrics_addr;
  std::string api_socket = "/run/weave/peer.sock";
  std::string docker_api = "unix:///var/run/docker.sock";  // empty: no Docker

  std::string weave_bridge = "weave";
  std::string docker_bridge;  // empty: no rules for it
  std::string datapath;
  int mtu = 0;  // bytes, 68..65535; 0: the overlay's
  bool no_fastdp = false;
  bool no_bridged_fastdp = false;
  bool expect_npc = false;
  bool awsvpc = false;
  int bufsz = 8;  // MB, 1..2047
  bool pkt_debug = false;

  std::string host;                // empty: all addresses
  int port = 6783;                 // 1..65534; the data path uses the next one too
  std::vector<std::string> peers;  // host[:port], as typed
  bool resume = false;
  bool restarted = false;  // WEAVE_RESTARTED: dial the peers of the last run, unless its store is lost
  bool no_discovery = false;
  int conn_limit = 200;          // 0: none
  int min_protocol_version = 1;  // 1..2
  std::string password;          // empty: no encryption
  std::vector<Cidr> trusted_subnets;
  std::string token;
  std::string peer_discovery_url = "https://cloud.weave.works/api/net";
  std::vector<std::string> advertise_address;

  std::optional<Cidr> ipalloc_range;           // absent: no allocator
  std::optional<Cidr> ipalloc_default_subnet;  // absent: the range
  std::optional<IpamStart> ipalloc_init;
  bool no_masq_local = false;

  bool no_dns = false;
  std::string dns_domain = "weave.local.";
  std::string dns_listen_address = "0.0.0.0:53";
  int dns_ttl = 1;  // seconds
  Duration dns_fallback_timeout = absl::Seconds(5);
  std::string resolv_conf;

  bool plugin = false;
  bool plugin_v2 = false;
  bool plugin_v2_multicast = false;
  std::string plugin_socket = "/run/docker/plugins/weave.sock";
  std::string plugin_mesh_socket = "/run/docker/plugins/weavemesh.sock";

  bool proxy = false;
  std::vector<std::string> proxy_listen;  // -H
  bool tls = false;
  bool tlsverify = false;
  std::string tlscacert;
  std::string tlscert;
  std::string tlskey;
  std::string hostname_from_label;
  std::string hostname_match = "(.*)";
  std::string hostname_replacement = "$1";
  bool rewrite_inspect = false;
  bool no_default_ipalloc = false;
  bool no_rewrite_hosts = false;
  bool without_dns = false;
  bool no_multicast_route = false;

  friend bool operator==(const WeaverOptions&, const WeaverOptions&) = default;
};

// The value of an environment variable, or null; ::getenv is one.
using Environment = std::function<const char*(const char* name)>;

// Whether this host has room for what the options ask for.
using HostCheck = std::function<absl::Status(const WeaverOptions& options)>;

// `args` is the command line without the program's name. WEAVE_PASSWORD, WEAVE_MTU, DOCKER_HOST and WEAVE_API_SOCKET
// stand in for flags that are not given; WEAVE_RESTARTED is the supervisor's (io/service_notify.h). Errors are one line
// that names the flag or variable and what is accepted, never a password:
//   InvalidArgument  unknown flag, bad value, values that contradict each other
//   Unimplemented    all is well formed, but asks for a part that this build does not have
// The second kind, and contradictions, are looked for only when the action is kRun. Between the two comes `host_check`,
// if any, whose error is returned: what is wrong with a value is said before that this build cannot use it.
absl::StatusOr<WeaverOptions> ParseWeaverOptions(absl::Span<const std::string> args, const Environment& environment,
                                                 const HostCheck& host_check = nullptr);

// What `--help` prints, with a final newline.
std::string WeaverHelp();

}  // namespace weave
