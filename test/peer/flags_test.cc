#include "peer/flags.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "peer/bridge_plan.h"
#include "peer/flag_table.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Args = std::vector<std::string>;
using Variables = std::map<std::string, std::string>;

absl::StatusOr<WeaverOptions> Parse(const Args& args, const Variables& variables = {}) {
  return ParseWeaverOptions(args, [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

WeaverOptions Accepted(const Args& args, const Variables& variables = {}) {
  const absl::StatusOr<WeaverOptions> options = Parse(args, variables);
  INFO(absl::StrJoin(args, " ") << ": " << options.status());
  REQUIRE(options.ok());
  return *options;
}

// The text of the error, which must be of `code` and one line.
std::string Refused(absl::StatusCode code, const Args& args, const Variables& variables = {}) {
  const absl::StatusOr<WeaverOptions> options = Parse(args, variables);
  INFO(absl::StrJoin(args, " ") << ": " << options.status());
  REQUIRE_FALSE(options.ok());
  CHECK(options.status().code() == code);
  CHECK(options.status().message().find('\n') == absl::string_view::npos);
  CHECK(options.status().message().size() < 400);
  return std::string(options.status().message());
}

std::string Bad(const Args& args, const Variables& variables = {}) {
  return Refused(absl::StatusCode::kInvalidArgument, args, variables);
}

std::string Missing(const Args& args, const Variables& variables = {}) {
  return Refused(absl::StatusCode::kUnimplemented, args, variables);
}

std::string Spelled(const FlagSpec& flag) { return absl::StrCat(flag.name[1] == '\0' ? "-" : "--", flag.name); }

TEST_CASE("Without arguments every option has its default", "[peer][flags]") { CHECK(Accepted({}) == WeaverOptions()); }

TEST_CASE("The default that the help shows is the default that counts", "[peer][flags]") {
  for (const FlagSpec& flag : FlagTable()) {
    INFO(flag.name);
    if (std::string(flag.name) == "H") continue;  // adds up: a blank is not an address
    WeaverOptions options;
    CHECK(flag.set(flag.default_text, options).ok());
    CHECK(options == WeaverOptions());
    CHECK_FALSE(flag.asks(options, WeaverOptions()));
  }
}

TEST_CASE("Every flag of the contract exists once, and no other but ours", "[peer][flags]") {
  // Contract A.3, weaver's own, in its order.
  std::set<std::string> expected = {"version",
                                    "print-peer-name",
                                    "host",
                                    "port",
                                    "min-protocol-version",
                                    "resume",
                                    "weave-bridge",
                                    "docker-bridge",
                                    "datapath",
                                    "expect-npc",
                                    "name",
                                    "nickname",
                                    "password",
                                    "log-level",
                                    "pkt-debug",
                                    "profile",
                                    "conn-limit",
                                    "no-discovery",
                                    "bufsz",
                                    "mtu",
                                    "http-addr",
                                    "status-addr",
                                    "metrics-addr",
                                    "ipalloc-range",
                                    "ipalloc-default-subnet",
                                    "ipalloc-init",
                                    "docker-api",
                                    "no-dns",
                                    "dns-domain",
                                    "dns-listen-address",
                                    "dns-ttl",
                                    "dns-fallback-timeout",
                                    "resolv-conf",
                                    "no-fastdp",
                                    "no-bridged-fastdp",
                                    "trusted-subnets",
                                    "db-prefix",
                                    "proc-path",
                                    "host-root",
                                    "awsvpc",
                                    "token",
                                    "peer-discovery-url",
                                    "advertise-address",
                                    "plugin",
                                    "plugin-v2",
                                    "plugin-v2-multicast",
                                    "plugin-socket",
                                    "plugin-mesh-socket",
                                    "no-masq-local",
                                    "proxy",
                                    "H",
                                    "tls",
                                    "tlsverify",
                                    "tlscacert",
                                    "tlscert",
                                    "tlskey",
                                    "hostname-from-label",
                                    "hostname-match",
                                    "hostname-replacement",
                                    "rewrite-inspect",
                                    "no-default-ipalloc",
                                    "no-rewrite-hosts",
                                    "without-dns",
                                    "no-multicast-route"};
  for (const char* ours : {"api-socket", "cleanup", "delete-datapath", "help"}) expected.insert(ours);
  std::set<std::string> found;
  for (const FlagSpec& flag : FlagTable()) CHECK(found.insert(flag.name).second);
  CHECK(found == expected);
}

TEST_CASE("The help lists every flag, its default and what this build lacks", "[peer][flags]") {
  const std::string help = WeaverHelp();
  std::set<std::string> groups;
  std::string last_group;
  for (const FlagSpec& flag : FlagTable()) {
    INFO(flag.name);
    CHECK(absl::StrContains(
        help, absl::StrCat("\n  ", Spelled(flag), flag.hint == nullptr ? " " : absl::StrCat(" ", flag.hint))));
    if (last_group != flag.group) CHECK(groups.insert(flag.group).second);  // groups stand together
    last_group = flag.group;
  }
  CHECK(absl::StrContains(help, "(default 6783)"));
  CHECK(absl::StrContains(help, "[WEAVE_MTU]"));
  CHECK(absl::StrContains(help, "not in this build"));
  CHECK(help.back() == '\n');
}

TEST_CASE("Values may follow as a word or after an equals sign, in quotes too", "[peer][flags]") {
  CHECK(Accepted({"--port", "7000"}).port == 7000);
  CHECK(Accepted({"--port=7000"}).port == 7000);
  CHECK(Accepted({"--nickname=\"web 1\""}).nickname == "web 1");
  CHECK(Accepted({"--nickname='web 1'"}).nickname == "web 1");
  CHECK(Accepted({"--nickname", "'web 1'"}).nickname == "'web 1'");
  CHECK(Accepted({"--nickname=a=b"}).nickname == "a=b");
  CHECK(Accepted({"--docker-api="}).docker_api.empty());
  CHECK(Accepted({"--docker-api", ""}).docker_api.empty());
  CHECK(Accepted({"--nickname", "--port"}).nickname == "--port");
}

TEST_CASE("Booleans need no value and take Go's spellings", "[peer][flags]") {
  CHECK(Accepted({"--no-fastdp"}).no_fastdp);
  for (const char* yes : {"1", "t", "T", "true", "TRUE", "True"})
    CHECK(Accepted({absl::StrCat("--no-fastdp=", yes)}).no_fastdp);
  for (const char* no : {"0", "f", "F", "false", "FALSE", "False"})
    CHECK_FALSE(Accepted({"--no-fastdp", absl::StrCat("--no-fastdp=", no)}).no_fastdp);
  CHECK(Bad({"--no-fastdp=maybe"}) == "--no-fastdp: \"maybe\" is not true or false");
  CHECK(Bad({"--no-fastdp="}) == "--no-fastdp: \"\" is not true or false");
}

TEST_CASE("Of a repeated flag the last one counts", "[peer][flags]") {
  CHECK(Accepted({"--port=7000", "--port=7001"}).port == 7001);
  CHECK(Accepted({"--plugin", "--proxy", "--plugin=false", "--proxy=false"}) == WeaverOptions());
  CHECK(Accepted({"--plugin"}).plugin);
}

TEST_CASE("Supported flags reach their options", "[peer][flags]") {
  const WeaverOptions options = Accepted({"--name",
                                          "::1",
                                          "--nickname",
                                          "web",
                                          "--log-level=debug",
                                          "--db-prefix=/var/lib/weave/w",
                                          "--proc-path=/host/proc",
                                          "--host-root=/host",
                                          "--http-addr=127.0.0.1:6784",
                                          "--status-addr=/run/weave/status.sock",
                                          "--metrics-addr=:9090",
                                          "--api-socket=/tmp/a.sock",
                                          "--docker-api=tcp://10.0.0.1:2375",
                                          "--weave-bridge=w0",
                                          "--docker-bridge=docker0",
                                          "--mtu=1376",
                                          "--no-fastdp",
                                          "--host=10.0.0.2",
                                          "--port=7000",
                                          "--no-dns"});
  CHECK(options.name == PeerName(1));
  CHECK(options.nickname == "web");
  CHECK(options.log_level == LogLevel::kDebug);
  CHECK(options.db_prefix == "/var/lib/weave/w");
  CHECK(options.proc_path == "/host/proc");
  CHECK(options.host_root == "/host");
  CHECK(options.http_addr == "127.0.0.1:6784");
  CHECK(options.status_addr == "/run/weave/status.sock");
  CHECK(options.metrics_addr == ":9090");
  CHECK(options.api_socket == "/tmp/a.sock");
  CHECK(options.docker_api == "tcp://10.0.0.1:2375");
  CHECK(options.weave_bridge == "w0");
  CHECK(options.docker_bridge == "docker0");
  CHECK(options.mtu == 1376);
  CHECK(options.no_fastdp);
  CHECK(options.host == "10.0.0.2");
  CHECK(options.port == 7000);
  CHECK(options.no_dns);
  CHECK(options.action == WeaverAction::kRun);
}

TEST_CASE("An unknown flag is named, its value is not", "[peer][flags]") {
  CHECK(Bad({"--frobnicate"}) == "unknown flag \"--frobnicate\"; weaver --help lists those there are");
  CHECK_FALSE(absl::StrContains(Bad({"--pasword=hunter2"}), "hunter2"));
  for (const char* bad : {"-x", "-port", "--H", "---port", "--PORT", "--=", "-=3", "--port\n"}) Bad({bad, "1"});
}

TEST_CASE("A flag at the end without its value is named", "[peer][flags]") {
  CHECK(Bad({"--port"}) == "--port: wants a value, PORT");
  CHECK(Bad({"-H"}) == "-H: wants a value, ADDRESS");
}

TEST_CASE("Malformed values are refused with the flag and what is accepted", "[peer][flags]") {
  const std::map<std::string, std::vector<std::string>> bad = {
      {"--port", {"", "0", "65535", "65536", "-1", "x", "1e3", "0x10", "99999999999999999999", " 1", "1 ", "+1"}},
      {"--mtu", {"", "-1", "67", "65536", "big"}},
      {"--conn-limit", {"", "-1", "many"}},
      {"--bufsz", {"0", "-8", "x", "2048"}},
      {"--min-protocol-version", {"0", "3", "one"}},
      {"--dns-ttl", {"-1", "1s", "", "2147483648"}},
      {"--dns-fallback-timeout", {"", "5", "0", "0s", "-1s", "inf", "5 s", "fast"}},
      {"--log-level", {"", "verbose", "INFO"}},
      {"--name", {"::", "1:2:3:4:5", "x", "00:00:00:00:00:00", "1:2:3:4:5:6:7"}},
      {"--nickname", {"two\nlines", "bell\a"}},
      {"--weave-bridge", {"", "a/b", "sixteen-letters-", ".", "..", "two words", "a:b"}},
      {"--docker-bridge", {"a/b", "sixteen-letters-"}},
      {"--datapath", {"a/b"}},
      {"--db-prefix", {""}},
      {"--proc-path", {""}},
      {"--api-socket", {"", "peer.sock", "/" + std::string(107, 'x')}},
      {"--http-addr", {"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "weave.sock", "a b:1", "::1:80", "[10.0.0.1]:80"}},
      {"--status-addr", {"6782"}},
      {"--metrics-addr", {"6782"}},
      {"--host", {"a b", "10.0.0.1:80", "[::1]"}},
      {"--docker-api",
       {"/var/run/docker.sock", "unix://docker.sock", "ssh://host", "tcp://host", "tcp://:2375", "tcp://"}},
      {"--ipalloc-range", {"10.32.0.0", "10.32.0.1/12", "10.32.0.0/31", "10.32.0.0/33", "fd00::/64", "x"}},
      {"--ipalloc-default-subnet", {"10.32.0.1/24", "10.32.0.0/32"}},
      {"--ipalloc-init",
       {"sometimes", "consensus=", "consensus=x", "consensus=-1", "seed", "seed=", "seed=::1,", "seed=x", "observer=1",
        "Consensus"}},
      {"--trusted-subnets", {"10.0.0.0", "10.0.0.0/8,", ",10.0.0.0/8", "10.0.0.0/33", "10.0.0.0/8 10.1.0.0/16"}},
      {"--dns-domain", {"", ".", "a..b", "-", "weave local", std::string(64, 'a') + ".local"}},
      {"--dns-listen-address", {"", "53", "0.0.0.0", "0.0.0.0:x"}},
      {"--peer-discovery-url", {"", "cloud.weave.works", "ftp://host", "https://", "https:///x", "http://:80"}},
      {"--advertise-address", {"a b", "10.0.0.1,", ":80"}},
      {"--plugin-socket", {"weave.sock"}},
      {"--plugin-mesh-socket", {"weavemesh.sock"}},
      {"-H", {"", "npipe://x", "ftp://10.0.0.1:21", "unix://weave.sock", "10.0.0.1", "weave.sock"}},
      {"--hostname-match", {"(", "*", "[a", "a{2,1}"}},
      {"--tlscert", {std::string("a\nb")}},
  };
  for (const auto& [flag, values] : bad) {
    for (const std::string& value : values) {
      INFO(flag << "=" << value);
      const std::string error = Bad({flag, value});
      if (flag == "--advertise-address" || flag == "--trusted-subnets" || flag == "--ipalloc-init") {
        CHECK(absl::StartsWith(error, absl::StrCat(flag, ": \"")));  // the bad item of the list is quoted
      } else {
        CHECK(absl::StrContains(error, flag));
      }
      CHECK(absl::StrContains(error, " is not "));
    }
  }
  CHECK(Bad({"--port=70000"}) == "--port: \"70000\" is not a whole number from 1 to 65534");
  CHECK(Bad({"--min-protocol-version=3"}) == "--min-protocol-version: \"3\" is not a whole number from 1 to 2");
  CHECK(Bad({"--ipalloc-range=10.32.0.1/12"}) ==
        "--ipalloc-range: \"10.32.0.1/12\" is not an IPv4 network of at least 4 addresses without host bits, such as "
        "10.32.0.0/12");
  CHECK(absl::StartsWith(Bad({"--ipalloc-range=0.0.0.0/0"}), "--ipalloc-range: \"0.0.0.0/0\" is not an IPv4 network"));
}

TEST_CASE("A hostile value cannot stretch or split the error", "[peer][flags]") {
  const std::string error = Bad({"--port", std::string(100000, '\n')});
  CHECK(error.size() < 600);
  CHECK(absl::StrContains(error, "..."));
}

TEST_CASE("Flags that contradict each other are refused", "[peer][flags]") {
  CHECK(Bad({"--resume", "host2"}) == "--resume: cannot be combined with a list of peers");
  CHECK(Bad({"--ipalloc-default-subnet=10.2.0.0/16"}) == "--ipalloc-default-subnet: needs --ipalloc-range");
  CHECK(Bad({"--ipalloc-init=observer"}) == "--ipalloc-init: needs --ipalloc-range");
  CHECK(Bad({"--ipalloc-range=10.32.0.0/12", "--ipalloc-default-subnet=10.2.0.0/16"}) ==
        "--ipalloc-default-subnet: 10.2.0.0/16 does not overlap with --ipalloc-range 10.32.0.0/12");
  CHECK(Bad({"--awsvpc", "--ipalloc-range=10.32.0.0/12", "--password=s3cret"}) ==
        "--awsvpc: cannot be combined with a password");
  CHECK(Bad({"--awsvpc"}) == "--awsvpc: needs --ipalloc-range");
  CHECK(Bad({"--awsvpc", "--ipalloc-range=10.32.0.0/12", "--no-masq-local"}) ==
        "--awsvpc: cannot be combined with --no-masq-local");
  CHECK(Bad({"--tls", "--tlscert=c"}) == "--tls: needs --tlskey");
  CHECK(Bad({"--tls", "--tlskey=k"}) == "--tls: needs --tlscert");
  CHECK(Bad({"--tlsverify", "--tlscert=c", "--tlskey=k"}) == "--tlsverify: needs --tlscacert");
}

TEST_CASE("The datapath stands beside the bridge, or is the bridge, and is called so", "[peer][flags]") {
  CHECK(DatapathName(Accepted({})) == "datapath");
  CHECK(DatapathName(Accepted({"--datapath="})) == "datapath");
  CHECK(DatapathName(Accepted({"--datapath=dp0"})) == "dp0");
  CHECK(DatapathName(Accepted({"--no-bridged-fastdp"})) == "weave");
  CHECK(DatapathName(Accepted({"--no-bridged-fastdp", "--weave-bridge=w0", "--datapath=w0"})) == "w0");
  CHECK(Bad({"--no-bridged-fastdp", "--datapath=datapath"}) ==
        "--datapath: with --no-bridged-fastdp the bridge \"weave\" is the datapath, not \"datapath\"");
  CHECK(Bad({"--datapath=weave"}) == "--datapath: \"weave\" is the name of the bridge; want another one");
  CHECK(Bad({"--weave-bridge=datapath"}) == "--datapath: \"datapath\" is the name of the bridge; want another one");
  Accepted({"--no-fastdp", "--datapath=weave"});  // it makes none
}

TEST_CASE("A restart is no contradiction to the peers of the command line", "[peer][flags]") {
  CHECK_FALSE(Accepted({"host2"}).restarted);
  const WeaverOptions again = Accepted({"host2"}, {{"WEAVE_RESTARTED", "1"}});
  CHECK(again.restarted);
  CHECK_FALSE(again.resume);
  CHECK(again.peers == Args{"host2"});
}

TEST_CASE("What this build lacks is refused by name, never ignored", "[peer][flags]") {
  const std::vector<std::pair<Args, std::string>> cases = {
      {{"--token=t"}, "--token: not supported in this build (peer discovery service)"},
      {{"--peer-discovery-url=http://10.0.0.1:80/x"},
       "--peer-discovery-url: not supported in this build (peer discovery service)"},
      {{"--advertise-address=10.0.0.1,h:1"},
       "--advertise-address: not supported in this build (peer discovery service)"},
      {{"--no-masq-local"}, "--no-masq-local: not supported in this build (local address ranges)"},
      {{"--expect-npc"}, "--expect-npc: not supported in this build (network policy)"},
      {{"--profile=/tmp"}, "--profile: not supported in this build (profiling)"},
      {{"--proxy"}, "--proxy: not supported in this build (Docker API proxy)"},
      {{"-H", "unix:///var/run/weave/weave.sock", "-H=tcp://0.0.0.0:12375"},
       "-H: not supported in this build (Docker API proxy)"},
      {{"--tls", "--tlscert=c", "--tlskey=k"}, "--tls: not supported in this build (Docker API proxy)"},
      {{"--tlscacert=a"}, "--tlscacert: not supported in this build (Docker API proxy)"},
      {{"--hostname-from-label=l"}, "--hostname-from-label: not supported in this build (Docker API proxy)"},
      {{"--hostname-match=^aws-[0-9]+-(.*)$"}, "--hostname-match: not supported in this build (Docker API proxy)"},
      {{"--hostname-replacement=my-$1"}, "--hostname-replacement: not supported in this build (Docker API proxy)"},
      {{"--rewrite-inspect"}, "--rewrite-inspect: not supported in this build (Docker API proxy)"},
      {{"--no-default-ipalloc"}, "--no-default-ipalloc: not supported in this build (Docker API proxy)"},
      {{"--no-rewrite-hosts"}, "--no-rewrite-hosts: not supported in this build (Docker API proxy)"},
      {{"--without-dns"}, "--without-dns: not supported in this build (Docker API proxy)"},
      {{"--no-multicast-route"}, "--no-multicast-route: not supported in this build (Docker API proxy)"},
  };
  for (const auto& [args, error] : cases) CHECK(Missing(args) == error);
  Missing({"--ipalloc-range=10.32.0.0/12", "--awsvpc"});
}

TEST_CASE("Every flag of a missing part can be refused", "[peer][flags]") {
  WeaverOptions all;
  all.expect_npc = all.awsvpc = true;
  all.no_masq_local = all.proxy = all.tls = all.tlsverify = true;
  all.rewrite_inspect = all.no_default_ipalloc = all.no_rewrite_hosts = all.without_dns = all.no_multicast_route = true;
  all.profile = all.token = all.peer_discovery_url = "x";
  all.tlscacert = all.tlscert = all.tlskey = all.hostname_from_label = all.hostname_match = all.hostname_replacement =
      "x";
  all.advertise_address = all.proxy_listen = {"x"};
  for (const FlagSpec& flag : FlagTable()) {
    INFO(flag.name);
    CHECK(flag.asks(all, WeaverOptions()) == (flag.feature != Feature::kPresent));
  }
}

TEST_CASE("Values that ask for nothing are accepted", "[peer][flags]") {
  const std::vector<Args> cases = {
      {"--plugin=false"},
      {"--proxy=false"},
      {"--ipalloc-range="},
      {"--ipalloc-range", ""},
      {"--ipalloc-init="},
      {"--no-dns"},
      {"--token="},
      {"--plugin-socket="},
      {"--plugin-mesh-socket="},
      {"--dns-domain=weave.local"},
      {"--dns-ttl=1"},
      {"--dns-fallback-timeout=5000ms"},
      {"--hostname-match=(.*)"},
      {"--awsvpc=false"},
      {"--peer-discovery-url=https://cloud.weave.works/api/net"},
      {"--advertise-address="},
      {"--no-dns", "--dns-listen-address=172.17.0.1:53", "--dns-domain=example.org", "--resolv-conf=/etc/resolv.conf"}};
  for (const Args& args : cases) Accepted(args);
}

TEST_CASE("A malformed value is reported before a missing part", "[peer][flags]") {
  CHECK(absl::StartsWith(Bad({"--proxy", "--port=x"}), "--port: "));
  CHECK(absl::StartsWith(Bad({"host2", "--ipalloc-range=10.32.0.0"}), "--ipalloc-range: "));
  CHECK(absl::StartsWith(Bad({"--proxy", "--ipalloc-init=observer"}), "--ipalloc-init: "));
  CHECK(absl::StartsWith(Bad({"--proxy"}, {{"WEAVE_MTU", "x"}}), "WEAVE_MTU: "));
}

TEST_CASE("Peers are positional and checked", "[peer][flags]") {
  CHECK(absl::StrContains(Bad({"bad:port:xx"}), "\"bad:port:xx\" is not a peer, host[:port]"));
  for (const char* bad :
       {"", ":80", "host:", "host:0", "host:65536", "a b", "fd00::1", "[10.0.0.1]", "[fd00::1", "host\n"})
    CHECK(absl::StrContains(Bad({bad}), "is not a peer"));
  for (const char* good : {"host2", "10.0.0.1", "host-2.example.org:7000", "[fd00::1]", "[fd00::1]:6783"})
    CHECK(Accepted({good}).peers == Args{good});
  // Flags may follow a peer; after `--` nothing is a flag.
  CHECK(absl::StartsWith(Bad({"host2", "--port=x"}), "--port: "));
  CHECK(absl::StrContains(Bad({"--", "--port=7000"}), "\"--port=7000\" is not a peer"));
  CHECK(Accepted({"--", "version"}).peers == Args{"version"});
}

TEST_CASE("Printing actions win, stop early and need no supported flags", "[peer][flags]") {
  CHECK(Accepted({"--version"}).action == WeaverAction::kPrintVersion);
  CHECK(Accepted({"version"}).action == WeaverAction::kPrintVersion);
  CHECK(Accepted({"--print-peer-name"}).action == WeaverAction::kPrintPeerName);
  CHECK(Accepted({"print-peer-name", "--host-root=/host"}).host_root == "/host");
  CHECK(Accepted({"--help"}).action == WeaverAction::kPrintHelp);
  CHECK(Accepted({"-h"}).action == WeaverAction::kPrintHelp);
  CHECK(Accepted({"help"}).action == WeaverAction::kPrintHelp);
  CHECK(Accepted({"--cleanup"}).action == WeaverAction::kCleanup);
  CHECK(Accepted({"--delete-datapath", "--datapath=dp0"}).action == WeaverAction::kDeleteDatapath);
  CHECK(Accepted({"--cleanup=false"}).action == WeaverAction::kRun);
  CHECK(Accepted({"--version", "--cleanup"}).action == WeaverAction::kPrintVersion);
  CHECK(Accepted({"--cleanup", "--version"}).action == WeaverAction::kPrintVersion);
  CHECK(Accepted({"--port=7000", "--help", "--nonsense"}).action == WeaverAction::kPrintHelp);
  CHECK(Accepted({"--port=7000", "-h", "--nonsense"}).action == WeaverAction::kPrintHelp);
  // weave-kube asks for the name with all of its flags.
  CHECK(Accepted({"--ipalloc-range=10.32.0.0/12", "--print-peer-name", "--db-prefix=/weavedb/weave-net"}).db_prefix ==
        "/weavedb/weave-net");
  CHECK(Accepted({"--version"}, {{"WEAVE_MTU", "x"}}).action == WeaverAction::kPrintVersion);
  Bad({"--version", "--port=x"});
}

TEST_CASE("The environment stands in for flags that are not given", "[peer][flags]") {
  CHECK(Accepted({}, {{"WEAVE_MTU", "1400"}}).mtu == 1400);
  CHECK(Accepted({"--mtu=9000"}, {{"WEAVE_MTU", "1400"}}).mtu == 9000);
  CHECK(Accepted({"--mtu=9000"}, {{"WEAVE_MTU", "x"}}).mtu == 9000);
  CHECK(Accepted({}, {{"WEAVE_MTU", ""}}).mtu == 0);
  CHECK(Bad({}, {{"WEAVE_MTU", "12"}}) ==
        "WEAVE_MTU: \"12\" is not 0 (the overlay's own) or a size in bytes from 68 to 65535");
  CHECK(Accepted({}, {{"DOCKER_HOST", "tcp://h:2375"}}).docker_api == "tcp://h:2375");
  CHECK(Accepted({"--docker-api="}, {{"DOCKER_HOST", "tcp://h:2375"}}).docker_api.empty());
  CHECK(absl::StartsWith(Bad({}, {{"DOCKER_HOST", "ssh://h"}}), "DOCKER_HOST: "));
  CHECK(Accepted({}, {{"WEAVE_API_SOCKET", "/tmp/b.sock"}}).api_socket == "/tmp/b.sock");
  CHECK(Accepted({"--api-socket=/tmp/a.sock"}, {{"WEAVE_API_SOCKET", "/tmp/b.sock"}}).api_socket == "/tmp/a.sock");
}

TEST_CASE("A password in the environment counts and is never shown", "[peer][flags]") {
  const Variables variables = {{"WEAVE_PASSWORD", "hunter2"}};
  CHECK(Accepted({}, variables).password == "hunter2");
  // 2.8 takes a blank flag for none.
  CHECK(Accepted({"--password="}, variables).password == "hunter2");
  CHECK(Accepted({"--password=other"}, variables).password == "other");
  CHECK_FALSE(absl::StrContains(Bad({"--awsvpc", "--ipalloc-range=10.32.0.0/12"}, variables), "hunter2"));
  CHECK(Accepted({}, {{"WEAVE_PASSWORD", ""}}).password.empty());
}

TEST_CASE("The ring's start is parsed for each mode", "[peer][flags]") {
  const auto start = [](const char* mode) {
    return *Accepted({"--print-peer-name", "--ipalloc-range=10.32.0.0/12", absl::StrCat("--ipalloc-init=", mode)})
                .ipalloc_init;
  };
  CHECK(start("consensus") == IpamStart());
  CHECK(start("consensus=3").peer_count == 3);
  CHECK(start("observer").mode == IpamStart::Mode::kObserver);
  CHECK(start("seed=::1,::2").mode == IpamStart::Mode::kSeed);
  CHECK(start("seed=::1,::2").seeds == std::vector<PeerName>{PeerName(1), PeerName(2)});
}

TEST_CASE("Range, subnets and lists arrive typed", "[peer][flags]") {
  const WeaverOptions options =
      Accepted({"--print-peer-name", "--ipalloc-range=10.32.0.0/12", "--ipalloc-default-subnet=10.32.1.0/24",
                "--trusted-subnets=10.1.2.3/8,fd00::/8", "--advertise-address=h1,h2:7000", "-H", "/w.sock", "-H",
                "0.0.0.0:12375"});
  CHECK(options.ipalloc_range->ToString() == "10.32.0.0/12");
  CHECK(options.ipalloc_default_subnet->ToString() == "10.32.1.0/24");
  REQUIRE(options.trusted_subnets.size() == 2);
  CHECK(options.trusted_subnets[0].ToString() == "10.0.0.0/8");
  CHECK(options.trusted_subnets[1].ToString() == "fd00::/8");
  CHECK(options.advertise_address == std::vector<std::string>{"h1", "h2:7000"});
  CHECK(options.proxy_listen == std::vector<std::string>{"/w.sock", "0.0.0.0:12375"});
}

}  // namespace
}  // namespace weave
