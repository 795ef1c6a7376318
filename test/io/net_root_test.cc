// What of the sockets needs a network of its own: small MTUs, routes that lead nowhere, a single free port, full
// buffers, a hosts file. All in namespaces this process makes.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "io/file.h"
#include "io/resolver.h"
#include "io/subprocess.h"
#include "io/udp_socket.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

void NeedRoot() {
  if (::geteuid() == 0) return;
  std::puts("skipped: needs root to make namespaces");
  std::exit(77);
}

// Runs a command of words separated by blanks.
void Run(absl::string_view command) {
  const auto result = RunSuccessfully({.argv = absl::StrSplit(command, ' ')});
  INFO(command);
  REQUIRE(result.status() == absl::OkStatus());
}

// The calling thread is in a new network namespace with loopback up, and goes home at the end. Sockets stay in it.
class PrivateNetwork {
 public:
  PrivateNetwork() : home_(Open()) {
    NeedRoot();
    REQUIRE(::unshare(CLONE_NEWNET) == 0);
    inside_ = Open();
    Run("ip link set lo up");
  }
  ~PrivateNetwork() { REQUIRE_NOTHROW(Enter(home_)); }

  // A second namespace, for the other end of links; made when first asked for.
  void InOther(absl::string_view command) {
    if (!other_.valid()) {
      REQUIRE(::unshare(CLONE_NEWNET) == 0);
      other_ = Open();
      Enter(inside_);
    }
    Enter(other_);
    Run(command);
    Enter(inside_);
  }
  std::string other_path() const { return absl::StrCat("/proc/", ::getpid(), "/fd/", other_.get()); }

 private:
  static Fd Open() { return Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)); }
  static void Enter(const Fd& space) { REQUIRE(::setns(space.get(), CLONE_NEWNET) == 0); }

  Fd home_, inside_, other_;
};

std::unique_ptr<UdpSocket> BindUdp(EventLoop& loop) {
  auto bound = UdpSocket::Bind(loop, std::nullopt, 0, [](auto) {});
  REQUIRE(bound.status() == absl::OkStatus());
  return *std::move(bound);
}

TEST_CASE("A datagram larger than the link is fragmented or refused, as asked; the limit is told", "[io][udp]") {
  const PrivateNetwork network;
  Run("ip link add small mtu 576 type veth peer name end");
  Run("ip addr add 10.9.0.1/24 dev small");
  Run("ip link set small up");
  Run("ip link set end up");
  Run("ip route add 10.9.1.0/24 dev small mtu 560");
  EventLoop loop;
  const auto socket = BindUdp(loop);
  struct Row {
    MtuDiscover mode;
    bool refused;
  };
  for (const Row& row : {Row{MtuDiscover::kDont, false}, Row{MtuDiscover::kWant, false}, Row{MtuDiscover::kDo, true},
                         Row{MtuDiscover::kProbe, true}, Row{MtuDiscover::kDont, false}}) {
    INFO("mode " << static_cast<int>(row.mode));
    REQUIRE(socket->SetMtuDiscover(row.mode) == absl::OkStatus());
    const absl::Status status = socket->Send(At("10.9.0.2:6783"), Bytes(576 - 28 + 1));
    CHECK(status.code() == (row.refused ? absl::StatusCode::kOutOfRange : absl::StatusCode::kOk));
    CHECK(socket->Send(At("10.9.0.2:6783"), Bytes(576 - 28)) == absl::OkStatus());
  }
  CHECK(socket->PathMtu(At("10.9.0.2:6783")).value() == 576);
  CHECK(socket->PathMtu(At("10.9.1.2:6783")).value() == 560);
  CHECK(socket->PathMtu(At("10.7.1.2:6783")).status().message() == "path MTU to 10.7.1.2:6783: Network is unreachable");
}

TEST_CASE("What a router says of the path is known from then on", "[io][udp]") {
  PrivateNetwork network;
  network.InOther("sysctl -qw net.ipv4.ip_forward=1");
  Run(absl::StrCat("ip link add near type veth peer name far netns ", network.other_path()));
  Run("ip addr add 10.9.0.1/24 dev near");
  Run("ip link set near up");
  network.InOther("ip addr add 10.9.0.2/24 dev far");
  network.InOther("ip link set far up");
  network.InOther("ip link add narrow mtu 600 type veth peer name end");
  network.InOther("ip addr add 10.9.9.1/24 dev narrow");
  network.InOther("ip link set narrow up");
  network.InOther("ip link set end up");
  Run("ip route add 10.9.9.0/24 via 10.9.0.2");

  EventLoop loop;
  const auto socket = BindUdp(loop);
  REQUIRE(socket->SetMtuDiscover(MtuDiscover::kDo).ok());
  const SocketAddress beyond = At("10.9.9.2:6783");
  CHECK(socket->PathMtu(beyond).value() == 1500);
  absl::Status status;
  const auto again = loop.MakeTimer([] {});
  RunUntil(loop, [&] {
    again->Arm(loop.now().monotonic + absl::Milliseconds(1));
    status = socket->Send(beyond, Bytes(1000));
    return !status.ok();
  });
  CHECK(status.code() == absl::StatusCode::kOutOfRange);
  CHECK(socket->PathMtu(beyond).value() == 600);
  CHECK(socket->PathMtu(At("10.9.0.2:6783")).value() == 1500);
}

TEST_CASE("A UDP socket that can take no more says so, and not that the datagram is too large", "[io][udp]") {
  const PrivateNetwork network;
  // Nobody answers for the neighbour, so datagrams wait for it, in the buffer of the socket.
  Run("ip link add near type veth peer name far");
  Run("ip addr add 10.9.0.1/24 dev near");
  Run("ip link set near up");
  Run("ip link set far up");
  Run("sysctl -qw net.ipv4.neigh.near.unres_qlen_bytes=100000000");
  EventLoop loop;
  const auto socket = BindUdp(loop);
  absl::Status status;
  for (int i = 0; i < 10'000 && status.ok(); ++i) status = socket->Send(At("10.9.0.2:6783"), Bytes(1400));
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(status.message() == "send 1400 bytes to 10.9.0.2:6783: the buffer of the socket is full");
}

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
