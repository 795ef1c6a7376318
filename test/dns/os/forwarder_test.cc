// Queries carried to other name servers: who answers, and who is not believed.
#include "dns/os/forwarder.h"

#include <optional>
#include <set>

#include "absl/strings/match.h"
#include "test/dns/os/dns_os_world.h"

namespace weave::test {
namespace {

// A name server that answers as it is told, over UDP and TCP on one port.
struct Upstream {
  using Answer = std::function<std::vector<Bytes>(const Bytes& query, bool tcp)>;

  Upstream(EventLoop& l, Answer how)
      : loop(l),
        answer(std::move(how)),
        udp(Bound(SOCK_DGRAM)),
        address(LocalAddressOf(udp.get()).value()),
        tcp(Bound(SOCK_STREAM, address)) {
    REQUIRE(::listen(tcp.get(), 8) == 0);
    udp_watch = loop.WatchReadable(udp.get(), [this] { OnDatagram(); });
    tcp_watch = loop.WatchReadable(tcp.get(), [this] { OnConnection(); });
  }

  void OnDatagram() {
    Bytes query(2048);
    sockaddr_storage client = {};
    socklen_t size = sizeof client;
    const ssize_t n = ::recvfrom(udp.get(), query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&client), &size);
    if (n < 0) return;
    query.resize(static_cast<std::size_t>(n));
    ports.push_back(FromKernel(client).port);
    asked.push_back(query);
    for (const Bytes& said : answer(query, false))
      ::sendto(udp.get(), said.data(), said.size(), 0, reinterpret_cast<const sockaddr*>(&client), size);
  }

  void OnConnection() {
    const auto& client = clients.emplace_back(
        std::make_unique<Fd>(::accept4(tcp.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)));
    watches.push_back(loop.WatchReadable(client->get(), [this, fd = client->get()] { OnStream(fd); }));
  }

  // A query comes in one piece here.
  void OnStream(int fd) {
    Bytes query(2048);
    const ssize_t n = ::recv(fd, query.data(), query.size(), 0);
    if (n <= 2) return watches.clear();
    query = Bytes(query.begin() + 2, query.begin() + n);
    asked.push_back(query);
    for (Bytes said : answer(query, true)) {
      said.insert(said.begin(), {static_cast<std::uint8_t>(said.size() >> 8), static_cast<std::uint8_t>(said.size())});
      ::send(fd, said.data(), said.size(), MSG_NOSIGNAL);
    }
  }

  EventLoop& loop;
  Answer answer;
  Fd udp;
  SocketAddress address;
  Fd tcp;
  std::vector<Bytes> asked;
  std::vector<std::uint16_t> ports;
  std::unique_ptr<FdWatch> udp_watch;
  std::unique_ptr<FdWatch> tcp_watch;
  std::vector<std::unique_ptr<Fd>> clients;
  std::vector<std::unique_ptr<FdWatch>> watches;
};

Bytes Answered(Bytes query, std::size_t padding = 0) {
  query[2] |= 0x80;
  query.insert(query.end(), padding, 0x77);
  return query;
}
Bytes LowerCase(Bytes message) {
  for (std::size_t i = kDnsHeaderSize; i < message.size(); ++i)
    if (message[i] >= 'A' && message[i] <= 'Z') message[i] |= 0x20;
  return message;
}

struct ForwarderWorld : LoopWorld {
  Bytes Ask(const std::vector<SocketAddress>& servers, const Bytes& query, bool tcp = false) {
    std::optional<Bytes> answer;
    REQUIRE(forwarder.Forward(servers, IpAddress::V4(1), tcp, query, [&](Bytes bytes) { answer = std::move(bytes); }));
    CHECK_FALSE(answer.has_value());
    RunUntil([&] { return answer.has_value(); });
    return answer.value_or(Bytes());
  }

  Forwarder forwarder{loop, entropy, absl::Milliseconds(300)};
};

const Bytes kQuery = Question("www.abcdefghijklmnopqrstuvwxyz.com");

TEST_CASE("The answer comes back under the client's id and in its spelling", "[dns]") {
  ForwarderWorld world;
  Upstream upstream(world.loop, [](const Bytes& query, bool) { return std::vector<Bytes>{Answered(query)}; });
  for (int i = 0; i < 8; ++i) CHECK(world.Ask({upstream.address}, kQuery) == Answered(kQuery));
  CHECK(world.Ask({upstream.address}, kQuery, /*tcp=*/true) == Answered(kQuery));
  std::set<Bytes> spellings;
  for (const Bytes& query : upstream.asked) spellings.insert({query.begin() + kDnsHeaderSize, query.end()});
  CHECK(spellings.size() >= 8);  // 32 letters
  CHECK(std::set<std::uint16_t>(upstream.ports.begin(), upstream.ports.end()).size() >= 4);
  CHECK(world.forwarder.pending_count() == 0);
}

TEST_CASE("One server after the other is asked until one answers", "[dns]") {
  ForwarderWorld world;
  Upstream silent(world.loop, [](const Bytes&, bool) { return std::vector<Bytes>(); });
  Upstream failing(world.loop, [](Bytes query, bool) {
    query[3] |= 2;
    return std::vector<Bytes>{Answered(query)};
  });
  SocketAddress nobody;
  {
    const Fd closed = Bound(SOCK_DGRAM);
    nobody = LocalAddressOf(closed.get()).value();
  }
  const Bytes answer = world.Ask({nobody, silent.address, failing.address}, kQuery);
  REQUIRE(answer.size() == kQuery.size());
  CHECK((answer[3] & 0xf) == 2);  // an answer is an answer
  CHECK(silent.asked.size() == 1);
  CHECK(world.Ask({nobody, silent.address}, kQuery).empty());
  CHECK(world.Ask({}, kQuery).empty());
}

TEST_CASE("Forged answers are not taken, and the true one still is", "[dns]") {
  ForwarderWorld world;
  Upstream upstream(world.loop, [](const Bytes& query, bool) {
    Bytes other_id = Answered(query, 1);
    other_id[0] ^= 1;
    Bytes other_name = Answered(query, 2);
    other_name[kDnsHeaderSize + 1] = 'x';
    return std::vector<Bytes>{other_id, other_name, query, Bytes(3), Answered(query, 9)};
  });
  CHECK(world.Ask({upstream.address}, kQuery) == Answered(kQuery, 9));
}

TEST_CASE("A server that does not keep the case is asked again over TCP", "[dns]") {
  ForwarderWorld world;
  Upstream upstream(world.loop, [](const Bytes& query, bool tcp) {
    return std::vector<Bytes>{Answered(LowerCase(query), tcp ? 8 : 4)};
  });
  CHECK(world.Ask({upstream.address}, kQuery) == Answered(kQuery, 8));
  // What the client's transport cannot take is told to be there.
  Upstream large(world.loop, [](const Bytes& query, bool tcp) {
    return std::vector<Bytes>{Answered(LowerCase(query), tcp ? 800 : 4)};
  });
  const Bytes answer = world.Ask({large.address}, kQuery);
  REQUIRE(answer.size() == kQuery.size());
  CHECK((answer[2] & 2) != 0);
}

TEST_CASE("One client cannot keep the others from asking", "[dns]") {
  ForwarderWorld world;
  Upstream silent(world.loop, [](const Bytes&, bool) { return std::vector<Bytes>(); });
  const auto ask = [&](std::uint32_t client) {
    return world.forwarder.Forward({silent.address}, IpAddress::V4(client), false, kQuery, [](const Bytes&) {});
  };
  for (std::size_t i = 0; i < kMaxForwardedOfClient; ++i) REQUIRE(ask(1));
  CHECK_FALSE(ask(1));
  CHECK(ask(2));
  world.RunUntil([&] { return world.forwarder.pending_count() == 0; });
  CHECK(ask(1));
}

}  // namespace
}  // namespace weave::test
