// What of the sockets needs a network of its own: routes that lead nowhere, a single free port, a hosts file. All in
// namespaces this process makes.
#include <sched.h>
#include <sys/mount.h>

#include "absl/strings/str_cat.h"
#include "io/file.h"
#include "io/resolver.h"
#include "test/io/private_network.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("A route that leads nowhere fails a connection at once, with the kernel's reason", "[io][tcp]") {
  const PrivateNetwork network;
  Run("ip route add unreachable 10.8.0.0/16");
  Run("ip route add prohibit 10.9.0.0/16");
  EventLoop loop;
  struct Row {
    const char* to;
    const char* reason;
    absl::StatusCode code;
  };
  for (const Row& row : {Row{"10.7.0.1:6783", "network is unreachable", absl::StatusCode::kUnavailable},
                         Row{"10.8.0.1:6783", "no route to host", absl::StatusCode::kUnavailable},
                         Row{"10.9.0.1:6783", "permission denied", absl::StatusCode::kPermissionDenied},
                         Row{"[fd00::1]:6783", "network is unreachable", absl::StatusCode::kUnavailable}}) {
    Endpoint client(loop, {});
    const std::uint64_t id = client.Connect(At(row.to));
    RunUntil(loop, [&] { return !client.trace.empty(); });
    CHECK(client.seen[id].closed == row.reason);
    CHECK(client.seen[id].code == row.code);
  }
}

TEST_CASE("A connection that the kernel makes with itself, where nobody listens, is none", "[io][tcp]") {
  const PrivateNetwork network;
  Run("sysctl -qw net.ipv4.ip_local_port_range=40000\t40000");
  EventLoop loop;
  Endpoint client(loop);
  const std::uint64_t id = client.Connect(At("127.0.0.1:40000"));
  RunUntil(loop, [&] { return !client.trace.empty(); });
  CHECK(client.trace == std::vector<std::string>{absl::StrCat(id, " closed")});
  CHECK(client.seen[id].closed == "connected to itself, nobody listens there");
}

TEST_CASE("A host whose IPv6 is switched off is listened on by IPv4", "[io][tcp]") {
  const PrivateNetwork network;
  Run("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
  EventLoop loop;
  Endpoint server(loop, {});
  REQUIRE(server.transport.Listen() == absl::OkStatus());
  const PlainSocket client = PlainSocket::Connect({IpAddress::V4(0x7f000001), server.transport.listen_address().port});
  RunUntil(loop, [&] { return server.accepted.size() == 1; });
  CHECK(server.seen[server.accepted[0]].remote == client.local());
}

TEST_CASE("All addresses of a name are found, IPv4 first, each once; errors name the host", "[io][resolver]") {
  const PrivateNetwork network;
  const ScratchDirectory scratch;
  REQUIRE(::unshare(CLONE_NEWNS) == 0);
  REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  const auto replace = [&](const char* name, absl::string_view content) {
    const std::string path = scratch / name, target = absl::StrCat("/etc/", name);
    REQUIRE(WriteFileAtomically(path, content, 0644).ok());
    REQUIRE(::mount(path.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0);
  };
  replace("hosts", "fd00::7 many\n10.1.0.9 many\n10.1.0.2 many\n10.1.0.9 many\n10.1.0.5 3com 1st.2nd\n::1 six\n");
  replace("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n");

  EventLoop loop;
  WorkerPool pool("resolve", 2);
  Resolver resolver(loop, pool);
  const auto answer = [&](absl::string_view host) {
    std::string text;
    resolver.Resolve(host, [&](absl::StatusOr<std::vector<IpAddress>> result) {
      if (!result.ok())
        text = absl::StrCat(absl::StatusCodeToString(result.status().code()), ": ", result.status().message());
      if (result.ok())
        for (const IpAddress& ip : *result) absl::StrAppend(&text, ip.ToString(), " ");
    });
    RunUntil(loop, [&] { return !text.empty(); });
    return text;
  };
  const std::string many = answer("many");
  CHECK((many == "10.1.0.9 10.1.0.2 fd00::7 " || many == "10.1.0.2 10.1.0.9 fd00::7 "));
  CHECK(answer("3com") == "10.1.0.5 ");
  CHECK(answer("1st.2nd") == "10.1.0.5 ");
  CHECK(answer("six") == "::1 ");
  CHECK(answer("nosuch") == "UNAVAILABLE: resolve \"nosuch\": Temporary failure in name resolution");
}

}  // namespace
}  // namespace weave
