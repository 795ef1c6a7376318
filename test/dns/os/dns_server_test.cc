// The name server's sockets, on the loopback.
#include "dns/os/dns_server.h"

#include "test/dns/os/dns_os_world.h"

namespace weave::test {
namespace {

struct Everybody final : KnownPeers {
  bool IsKnown(PeerName) const override { return true; }
};

struct ServerWorld : LoopWorld {
  explicit ServerWorld(std::string resolv_conf = "/nonexistent/resolv.conf")
      : names(PeerName(1), "weave.local.", everybody, logger) {
    for (std::uint32_t i = 0; i < 60; ++i) names.Add("c", 0x0a200001 + i, "many.weave.local");
    names.Add("c", 0x0a200001, "web.weave.local");
    DnsServerOptions options;
    options.listen = Loopback();
    options.resolv_conf = std::move(resolv_conf);
    server = DnsServer::Listen(loop, names, entropy, options, logger).value();
  }

  Everybody everybody;
  NameRegistry names;
  std::unique_ptr<DnsServer> server;
};

// Sends and receives on a socket of its own.
struct Client {
  Client(ServerWorld& w, int type) : world(w), fd(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const KernelAddress kernel(world.server->address());
    const int connected = ::connect(fd.get(), kernel.get(), kernel.size());
    REQUIRE((connected == 0 || errno == EINPROGRESS));
  }

  void Send(const Bytes& bytes) {
    REQUIRE(::send(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  }
  bool Receive() {
    Bytes buffer(65536);
    const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size == 0) ended = true;
    if (size <= 0) return false;
    received.insert(received.end(), buffer.begin(), buffer.begin() + size);
    ++count;
    return true;
  }

  ServerWorld& world;
  const Fd fd;
  Bytes received;
  int count = 0;
  bool ended = false;
};

TEST_CASE("Datagrams are answered, many in a turn", "[dns]") {
  ServerWorld world;
  Client client(world, SOCK_DGRAM);
  for (int i = 0; i < 100; ++i) client.Send(Question("web.weave.local"));
  world.RunUntil([&] {
    while (client.Receive()) {
    }
    return client.count == 100;
  });
  CHECK(client.received[7] == 1);
  CHECK(world.server->stats().query_count == 100);
}

TEST_CASE("A session over TCP answers one query after the other, whole, and ends when the client does", "[dns]") {
  ServerWorld world;
  Client client(world, SOCK_STREAM);
  Bytes twice;
  for (int i = 0; i < 2; ++i) {
    const Bytes query = Question("many.weave.local");
    twice.push_back(0);
    twice.push_back(static_cast<std::uint8_t>(query.size()));
    twice.insert(twice.end(), query.begin(), query.end());
  }
  const std::size_t cut = twice.size() - 5;
  world.RunUntil([&] { return ::send(client.fd.get(), twice.data(), cut, MSG_NOSIGNAL) == static_cast<ssize_t>(cut); });
  const std::size_t size =
      2 + Question("many.weave.local").size() + 60 * (Question("many.weave.local").size() - 12 - 4 + 14);
  world.RunUntil([&] {
    client.Receive();
    return client.received.size() >= size;
  });
  CHECK(client.received.size() == size);
  client.Send({twice.begin() + static_cast<std::ptrdiff_t>(cut), twice.end()});
  REQUIRE(::shutdown(client.fd.get(), SHUT_WR) == 0);
  world.RunUntil([&] {
    client.Receive();
    return client.ended;
  });
  CHECK(client.received.size() == 2 * size);
}

TEST_CASE("Where no other name server is known, the others' names cannot be told", "[dns]") {
  ServerWorld world;
  Client client(world, SOCK_DGRAM);
  client.Send(Question("www.example.com"));
  world.RunUntil([&] { return client.Receive(); });
  CHECK((client.received[3] & 0xf) == 2);
}

TEST_CASE("A port that is taken is refused with its address", "[dns]") {
  ServerWorld world;
  DnsServerOptions options;
  options.listen = world.server->address();
  const absl::Status taken = DnsServer::Listen(world.loop, world.names, world.entropy, options, world.logger).status();
  CHECK(absl::IsAlreadyExists(taken));
  CHECK_THAT(std::string(taken.message()), Catch::Contains(options.listen.ToString()));
}

}  // namespace
}  // namespace weave::test
