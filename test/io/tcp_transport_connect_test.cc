// Where the transport listens and connects from, and every way in which connecting fails.
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const IpAddress kForeign = *IpAddress::Parse("203.0.113.1");  // documentation, RFC 5737: no host has it

// A port that nobody listens on and nobody else gets.
struct DeafPort {
  PlainSocket socket;
  SocketAddress address = socket.local();
};

TEST_CASE("Connecting to a port where nobody listens is refused", "[io][tcp]") {
  const char* const host = GENERATE("127.0.0.1:0", "[::1]:0");
  INFO(host);
  EventLoop loop;
  Endpoint client(loop, {});
  const DeafPort deaf{PlainSocket::Bind(At(host))};
  client.in_call = true;
  const std::uint64_t id = client.Connect(deaf.address);
  client.in_call = false;
  RunUntil(loop, [&] { return !client.trace.empty(); });
  CHECK(client.seen[id].closed == "connection refused");
  CHECK(client.seen[id].code == absl::StatusCode::kUnavailable);
  CHECK(client.transport.connection_count() == 0);
}

TEST_CASE("Connecting gives up when there is no answer in time", "[io][tcp]") {
  EventLoop loop;
  // The kernel ignores those who come to a full backlog.
  const PlainSocket listener = PlainSocket::Listen(At("127.0.0.1:0"), 0);
  const PlainSocket filler = PlainSocket::Connect(listener.local());
  Endpoint client(loop, {.connect_timeout = absl::Milliseconds(50)});
  const MonotonicTime start = MonotonicNow();
  const std::uint64_t id = client.Connect(listener.local());
  RunUntil(loop, [&] { return !client.trace.empty(); });
  CHECK(client.seen[id].closed == "no answer within 50ms");
  CHECK(client.seen[id].code == absl::StatusCode::kDeadlineExceeded);
  CHECK(MonotonicNow() - start >= absl::Milliseconds(45));
}

TEST_CASE("A connection that is being made can be closed and is never heard of", "[io][tcp]") {
  EventLoop loop;
  Endpoint client(loop, {.connect_timeout = absl::Milliseconds(1)});
  const PlainSocket listener = PlainSocket::Listen(At("127.0.0.1:0"));
  const DeafPort deaf{PlainSocket::Bind(At("127.0.0.1:0"))};
  for (const SocketAddress& to : {listener.local(), deaf.address, SocketAddress{kForeign, 1}})
    client.transport.Close(client.Connect(to));
  CHECK(client.transport.connection_count() == 0);
  RunSomeTurns(loop);
  CHECK(client.trace.empty());
}

TEST_CASE("Outgoing connections come from the host's address and a free port", "[io][tcp]") {
  EventLoop loop;
  const PlainSocket listener = PlainSocket::Listen(At("127.0.0.1:0"));
  Endpoint client(loop, {.host = IpAddress::V4(0x7f000005), .port = 1});
  const std::uint64_t id = client.Connect(listener.local());
  RunUntil(loop, [&] { return !client.trace.empty(); });
  const PlainSocket accepted = listener.Accept();
  CHECK(accepted.remote().ip.ToString() == "127.0.0.5");
  CHECK(accepted.remote().port > 1);
  CHECK(accepted.remote() == client.seen[id].local);
}

TEST_CASE("A host address that cannot connect there says so", "[io][tcp]") {
  struct Row {
    IpAddress host;
    const char* to;
    absl::StatusCode code;
    const char* reason;
  };
  const auto row =
      GENERATE(Row{IpAddress::V4(0x7f000001), "[::1]:1", absl::StatusCode::kFailedPrecondition,
                   "connect from 127.0.0.1: not of the same address family as ::1"},
               Row{kForeign, "127.0.0.1:1", absl::StatusCode::kFailedPrecondition,
                   "connect from 203.0.113.1: Cannot assign requested address"},
               Row{IpAddress::V4(0x7f000001), "224.0.0.1:1", absl::StatusCode::kUnavailable, "network is unreachable"});
  INFO(row.to);
  EventLoop loop;
  Endpoint client(loop, {.host = row.host});
  client.in_call = true;
  const std::uint64_t id = client.Connect(At(row.to));
  client.Send(id, "lost");
  client.in_call = false;
  RunUntil(loop, [&] { return !client.trace.empty(); });
  CHECK(client.seen[id].closed == row.reason);
  CHECK(client.seen[id].code == row.code);
  RunSomeTurns(loop);
  CHECK(client.trace.size() == 1);
}

TEST_CASE("Without a host, both families are accepted, IPv4 under its own addresses", "[io][tcp]") {
  const std::optional<IpAddress> host = GENERATE(std::optional<IpAddress>(), std::optional<IpAddress>(IpAddress::V4(0)),
                                                 std::optional<IpAddress>(IpAddress::V6(0)));
  EventLoop loop;
  Endpoint server(loop, {.host = host});
  REQUIRE(server.transport.Listen().ok());
  const std::uint16_t port = server.transport.listen_address().port;
  CHECK(port != 0);
  const PlainSocket v4 = PlainSocket::Connect({IpAddress::V4(0x7f000001), port});
  const PlainSocket v6 = PlainSocket::Connect({IpAddress::V6(1), port});
  RunUntil(loop, [&] { return server.accepted.size() == 2; });
  CHECK(server.seen[server.accepted[0]].remote == v4.local());
  CHECK(server.seen[server.accepted[0]].local == v4.remote());
  CHECK(server.seen[server.accepted[1]].remote == v6.local());
  // And connecting is not bound to either.
  for (const SocketAddress& to : {v4.remote(), v6.remote()}) server.Connect(to);
  RunUntil(loop, [&] { return server.accepted.size() == 4; });
}

TEST_CASE("With a host, other addresses of this machine are left alone", "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop, {.host = IpAddress::V4(0x7f000006)});
  REQUIRE(server.transport.Listen().ok());
  const SocketAddress address = server.transport.listen_address();
  CHECK(address.ip.ToString() == "127.0.0.6");
  Endpoint client(loop, {});
  const std::uint64_t there = client.Connect(address);
  const std::uint64_t elsewhere = client.Connect({IpAddress::V4(0x7f000001), address.port});
  RunUntil(loop, [&] { return client.seen.size() == 2; });
  CHECK(client.seen[there].closed == "");
  CHECK(client.seen[elsewhere].closed == "connection refused");
}

TEST_CASE("Where nobody can listen, the error names the address", "[io][tcp]") {
  EventLoop loop;
  const PlainSocket other = PlainSocket::Listen(At("127.0.0.1:0"));
  Endpoint taken(loop, {.host = other.local().ip, .port = other.local().port});
  const absl::Status in_use = taken.transport.Listen();
  CHECK(in_use.code() == absl::StatusCode::kAlreadyExists);
  CHECK(in_use.message() == absl::StrCat("listen on ", other.local().ToString(), ": Address already in use"));

  Endpoint wildcard(loop, {.port = other.local().port});
  CHECK(wildcard.transport.Listen().code() == absl::StatusCode::kAlreadyExists);

  Endpoint foreign(loop, {.host = kForeign, .port = 6783});
  const absl::Status not_ours = foreign.transport.Listen();
  CHECK(not_ours.code() == absl::StatusCode::kFailedPrecondition);
  CHECK(not_ours.message() == "listen on 203.0.113.1:6783: Cannot assign requested address");
}

TEST_CASE("The port of a listener that ended with connections open can be taken at once", "[io][tcp]") {
  EventLoop loop;
  auto first = std::make_unique<Endpoint>(loop);
  REQUIRE(first->transport.Listen().ok());
  const SocketAddress address = first->transport.listen_address();
  const PlainSocket plain = PlainSocket::Connect(address);
  RunUntil(loop, [&] { return first->accepted.size() == 1; });
  first.reset();
  Endpoint second(loop, {.host = address.ip, .port = address.port});
  CHECK(second.transport.Listen() == absl::OkStatus());
}

}  // namespace
}  // namespace weave
