// Datagrams on loopback. What needs a smaller MTU is in net_root_test.cc.
#include "io/udp_socket.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const IpAddress kLoopback = IpAddress::V4(0x7f000001);

struct Receiver {
  explicit Receiver(EventLoop& loop, std::optional<IpAddress> host = kLoopback) {
    auto bound = UdpSocket::Bind(loop, host, 0, [this](absl::Span<const UdpDatagram> batch) {
      batch_sizes.push_back(batch.size());
      for (const UdpDatagram& datagram : batch) {
        sources.push_back(datagram.source);
        destinations.push_back(datagram.destination.ToString());
        texts.emplace_back(AsText(datagram.bytes));
      }
    });
    REQUIRE(bound.status() == absl::OkStatus());
    socket = *std::move(bound);
  }

  std::unique_ptr<UdpSocket> socket;
  std::vector<std::size_t> batch_sizes;
  std::vector<SocketAddress> sources;
  std::vector<std::string> destinations;
  std::vector<std::string> texts;
};

TEST_CASE("Datagrams arrive in order, many in a turn but not too many, each with its source", "[io][udp]") {
  EventLoop loop;
  Receiver receiver(loop), sender(loop);
  constexpr std::size_t kCount = 100;
  for (std::size_t i = 0; i < kCount; ++i)
    REQUIRE(sender.socket->Send(receiver.socket->address(), AsBytes(absl::StrCat("datagram ", i))).ok());
  RunUntil(loop, [&] { return receiver.texts.size() == kCount; });
  for (std::size_t i = 0; i < kCount; ++i) CHECK(receiver.texts[i] == absl::StrCat("datagram ", i));
  for (const SocketAddress& source : receiver.sources) CHECK(source == sender.socket->address());
  CHECK(receiver.batch_sizes == std::vector<std::size_t>{UdpSocket::kBatchCount, kCount - UdpSocket::kBatchCount});
}

TEST_CASE("Datagrams of every size come whole, also after larger ones", "[io][udp]") {
  EventLoop loop;
  Receiver receiver(loop), sender(loop);
  for (const std::size_t size : {0, 1, 4096, 4097, 65507, 100, 65507}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 >> 3);
    REQUIRE(sender.socket->Send(receiver.socket->address(), AsBytes(text)) == absl::OkStatus());
    RunUntil(loop, [&] { return !receiver.texts.empty(); });
    CHECK(receiver.texts[0] == text);
    receiver.texts.clear();
  }
}

TEST_CASE("A socket on every address tells which one a datagram was for, and answers from it", "[io][udp]") {
  EventLoop loop;
  Receiver server(loop, std::nullopt), client(loop);
  const std::uint16_t port = server.socket->address().port;
  for (const char* text : {"127.0.0.1", "127.0.0.7"}) {
    const IpAddress address = *IpAddress::Parse(text);
    REQUIRE(client.socket->Send({address, port}, AsBytes("ask")).ok());
    RunUntil(loop, [&] { return !server.texts.empty(); });
    CHECK(server.destinations.back() == text);
    REQUIRE(server.socket->Send(server.sources.back(), AsBytes("answer"), address) == absl::OkStatus());
    RunUntil(loop, [&] { return !client.texts.empty(); });
    CHECK(client.sources.back() == SocketAddress{address, port});
    server.texts.clear();
    client.texts.clear();
  }
}

TEST_CASE("What cannot be sent says why", "[io][udp]") {
  struct Row {
    const char* to;
    std::size_t size;
    std::optional<IpAddress> source;
    absl::StatusCode code;
    const char* text;
  };
  const auto row =
      GENERATE(Row{"127.0.0.1:9",
                   65508,
                   {},
                   absl::StatusCode::kOutOfRange,
                   "send 65508 bytes to 127.0.0.1:9: larger than the path can carry"},
               Row{"[::1]:9", 1, {}, absl::StatusCode::kInvalidArgument, "send to [::1]:9: want IPv4 addresses"},
               Row{"127.0.0.1:9", 1, IpAddress::V6(1), absl::StatusCode::kInvalidArgument,
                   "send to 127.0.0.1:9: want IPv4 addresses"});
  EventLoop loop;
  Receiver sender(loop);
  const absl::Status status = sender.socket->Send(At(row.to), Bytes(row.size), row.source);
  CHECK(status.code() == row.code);
  CHECK(status.message() == row.text);
}

TEST_CASE("An address that is not this host's cannot be the source", "[io][udp]") {
  EventLoop loop;
  Receiver receiver(loop), sender(loop, std::nullopt);
  const SocketAddress to = receiver.socket->address();
  const absl::Status status = sender.socket->Send(to, AsBytes("forged"), *IpAddress::Parse("203.0.113.1"));
  CHECK_FALSE(status.ok());
  CHECK(absl::StartsWith(status.message(), absl::StrCat("send 6 bytes to ", to.ToString(), ": ")));
  REQUIRE(sender.socket->Send(to, AsBytes("honest")).ok());
  RunUntil(loop, [&] { return receiver.texts == std::vector<std::string>{"honest"}; });
}

TEST_CASE("A port that nobody listens on harms neither later datagrams nor the socket", "[io][udp]") {
  EventLoop loop;
  Receiver receiver(loop), sender(loop);
  auto gone = std::make_unique<Receiver>(loop);
  const SocketAddress nobody = gone->socket->address();
  gone.reset();
  for (int i = 0; i < 3; ++i) CHECK(sender.socket->Send(nobody, AsBytes("lost")) == absl::OkStatus());
  CHECK(sender.socket->Send(receiver.socket->address(), AsBytes("found")) == absl::OkStatus());
  RunUntil(loop, [&] { return receiver.texts == std::vector<std::string>{"found"}; });
}

TEST_CASE("Where a UDP socket cannot be bound, the error names the address", "[io][udp]") {
  EventLoop loop;
  Receiver other(loop);
  struct Row {
    IpAddress host;
    std::uint16_t port;
    absl::StatusCode code;
    std::string text;
  };
  const std::vector<Row> rows = {
      {kLoopback, other.socket->address().port, absl::StatusCode::kAlreadyExists,
       absl::StrCat("bind UDP ", other.socket->address().ToString(), ": Address already in use")},
      {*IpAddress::Parse("203.0.113.1"), 6783, absl::StatusCode::kFailedPrecondition,
       "bind UDP 203.0.113.1:6783: Cannot assign requested address"},
      {IpAddress::V6(1), 6783, absl::StatusCode::kInvalidArgument, "bind UDP [::1]:6783: want an IPv4 address"}};
  for (const Row& row : rows) {
    const absl::Status status = UdpSocket::Bind(loop, row.host, row.port, [](auto) {}).status();
    CHECK(status.code() == row.code);
    CHECK(status.message() == row.text);
  }
}

TEST_CASE("The path MTU of loopback is that of its interface; IPv6 has none here", "[io][udp]") {
  EventLoop loop;
  Receiver socket(loop);
  CHECK(socket.socket->PathMtu(At("127.0.0.1:9")).value() >= 16384);
  CHECK(socket.socket->PathMtu(At("[::1]:9")).status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weave
