// What the transport promises its user, with real sockets on loopback.
#include "io/tcp_transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// Different at every position for a long way, so that a byte lost or moved shows.
std::string Pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 2654435761U >> 16);
  return text;
}

// A connection from `client` to a listening `server`, both open.
struct Connected {
  Connected() {
    server.echo = false;
    REQUIRE(server.transport.Listen().ok());
    at_client = client.Connect(server.transport.listen_address());
    RunUntil(loop, [&] { return !server.accepted.empty() && client.seen.count(at_client) != 0; });
    at_server = server.accepted[0];
  }

  EventLoop loop;
  Endpoint server{loop}, client{loop};
  std::uint64_t at_client = 0, at_server = 0;
};

// A connection to a plain socket.
struct ToPlain {
  ToPlain() {
    id = endpoint.Connect(listener.local());
    RunUntil(loop, [&] { return endpoint.seen.count(id) != 0; });
    REQUIRE(endpoint.seen[id].closed == "");
    plain.push_back(listener.Accept());
  }

  EventLoop loop;
  PlainSocket listener = PlainSocket::Listen(At("127.0.0.1:0"));
  Endpoint endpoint{loop};
  std::uint64_t id = 0;
  std::vector<PlainSocket> plain;
};

TEST_CASE("Both sides learn the same two addresses of a connection", "[io][tcp]") {
  Connected c;
  const auto &ours = c.client.seen[c.at_client], &theirs = c.server.seen[c.at_server];
  CHECK(ours.remote == c.server.transport.listen_address());
  CHECK(ours.local == theirs.remote);
  CHECK(ours.remote == theirs.local);
  CHECK(c.client.trace.front() == absl::StrCat(c.at_client, " connected"));
  CHECK(c.server.trace.front() == absl::StrCat(c.at_server, " accepted"));
}

TEST_CASE("Large chunks come through whole and in order in both directions", "[io][tcp]") {
  constexpr int kChunks = 2;
  Connected c;
  c.server.echo = true;
  const std::string chunk = Pattern(10 << 20);
  int sent = 1;
  c.client.on_event = [&](absl::string_view event, std::uint64_t id) {
    if (event != "writable") return;
    CHECK(c.client.transport.queued_size(id) == 0);
    if (sent++ < kChunks) c.client.Send(id, chunk);
  };
  c.client.Send(c.at_client, chunk);
  CHECK(c.client.transport.queued_size(c.at_client) > 0);  // the kernel does not take that much at once
  RunUntil(c.loop, [&] { return c.client.seen[c.at_client].received.size() == kChunks * chunk.size(); });
  CHECK(c.client.seen[c.at_client].received == chunk + chunk);
  CHECK(c.client.seen[c.at_client].writable_count == kChunks);
  CHECK(c.client.transport.stats().sent_size == kChunks * chunk.size());
  CHECK(c.client.transport.stats().received_size == kChunks * chunk.size());
}

TEST_CASE("OnWritable comes once for what was sent before it, never from within Send", "[io][tcp]") {
  Connected c;
  c.client.in_call = true;
  c.client.Send(c.at_client, "one ");
  c.client.Send(c.at_client, "");
  c.client.Send(c.at_client, "two");
  c.client.in_call = false;
  RunUntil(c.loop, [&] { return c.server.seen[c.at_server].received == "one two"; });
  RunSomeTurns(c.loop);
  CHECK(c.client.seen[c.at_client].writable_count == 1);
  c.client.Send(c.at_client, "");
  RunUntil(c.loop, [&] { return c.client.seen[c.at_client].writable_count == 2; });
}

TEST_CASE("What is sent before the connection is made follows once it is", "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop), client(loop);
  REQUIRE(server.transport.Listen().ok());
  client.in_call = true;
  const std::uint64_t id = client.Connect(server.transport.listen_address());
  client.Send(id, "early");
  client.in_call = false;
  RunUntil(loop, [&] { return !server.accepted.empty() && server.seen[server.accepted[0]].received == "early"; });
  RunSomeTurns(loop);
  CHECK(absl::StrJoin(client.trace, ", ") == absl::StrCat(id, " connected, ", id, " writable"));
}

TEST_CASE("A peer that stops reading holds up its own connection only", "[io][tcp]") {
  ToPlain c;
  const std::string chunk = Pattern(10 << 20);
  c.endpoint.Send(c.id, chunk);

  const std::uint64_t other = c.endpoint.Connect(c.listener.local());
  RunUntil(c.loop, [&] { return c.endpoint.seen.count(other) != 0; });
  PlainSocket reading = c.listener.Accept();
  for (int round = 1; round <= 100; ++round) {
    c.endpoint.Send(other, "ping");
    RunUntil(c.loop, [&] { return c.endpoint.seen[other].writable_count == round; });
    REQUIRE(reading.Read() == "ping");
    reading.Write("pong");
    RunUntil(c.loop, [&] { return c.endpoint.seen[other].received.size() == 4U * round; });
  }
  CHECK(c.endpoint.seen[c.id].writable_count == 0);
  CHECK(c.endpoint.transport.queued_size(c.id) > chunk.size() / 2);  // nor does the kernel pile it up for us

  std::string read;
  RunUntil(c.loop, [&] {
    while (c.plain[0].readable() && read.size() < chunk.size()) read += c.plain[0].Read();
    return read.size() == chunk.size();
  });
  CHECK(read == chunk);
  RunUntil(c.loop, [&] { return c.endpoint.seen[c.id].writable_count == 1; });
  CHECK(c.endpoint.transport.queued_size(c.id) == 0);
}

TEST_CASE("Nobody waits behind a peer that sends much: each gets a bounded share of a turn", "[io][tcp]") {
  EventLoop loop;
  Endpoint server(loop);
  REQUIRE(server.transport.Listen().ok());
  std::map<std::uint64_t, int> this_turn;
  int most = 0;
  server.on_event = [&](absl::string_view event, std::uint64_t id) {
    if (event == "received") most = std::max(most, ++this_turn[id]);
  };
  const PlainSocket busy = PlainSocket::Connect(server.transport.listen_address());
  const PlainSocket quiet = PlainSocket::Connect(server.transport.listen_address());
  RunUntil(loop, [&] { return server.accepted.size() == 2; });

  // More than one read's worth waits before the quiet one speaks.
  const std::string block = Pattern(64 << 10);
  std::size_t sent = 0;
  for (ssize_t size; (size = ::send(busy.fd(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0;)
    sent += static_cast<std::size_t>(size);
  REQUIRE(sent > 2 * TcpTransport::kReadSize);
  quiet.Write("hello");
  int turns = 0;
  RunUntil(loop, [&] {
    this_turn.clear();
    ++turns;
    return server.seen[server.accepted[1]].received == "hello";
  });
  CHECK(turns <= 3);
  RunUntil(loop, [&] {
    this_turn.clear();
    return server.seen[server.accepted[0]].received.size() == sent;
  });
  CHECK(most == 1);
  CHECK(server.seen[server.accepted[0]].received_count > 1);
  CHECK(server.seen[server.accepted[0]].largest_size <= TcpTransport::kReadSize);
}

TEST_CASE("Closing resets the connection and drops what waits to be sent; no event follows", "[io][tcp]") {
  ToPlain c;
  c.endpoint.Send(c.id, Pattern(10 << 20));
  const std::vector<std::string> before = c.endpoint.trace;
  c.endpoint.transport.Close(c.id);
  CHECK(c.endpoint.transport.queued_size(c.id) == 0);
  CHECK(c.endpoint.transport.connection_count() == 0);
  while (!c.plain[0].Read().empty()) {
  }
  CHECK(c.plain[0].error() == ECONNRESET);
  RunSomeTurns(c.loop);
  CHECK(c.endpoint.trace == before);
}

TEST_CASE("Who is left reads what it was sent, and may write until it has", "[io][tcp]") {
  ToPlain c;
  c.endpoint.Send(c.id, "why");
  const std::vector<std::string> before = c.endpoint.trace;
  c.endpoint.transport.Leave(c.id);
  CHECK(c.endpoint.transport.connection_count() == 0);
  for (int i = 0; i < 3; ++i) {
    c.plain[0].Write("not heard");
    RunSomeTurns(c.loop);
  }
  CHECK(c.plain[0].Read() == "why");
  CHECK(c.plain[0].Read() == "");
  CHECK(c.plain[0].error() == 0);
  c.plain.clear();
  RunSomeTurns(c.loop);
  CHECK(c.endpoint.trace == before);
}

TEST_CASE("A connection with more to send than the kernel takes is not left but closed", "[io][tcp]") {
  ToPlain c;
  c.endpoint.Send(c.id, Pattern(10 << 20));
  c.endpoint.transport.Leave(c.id);
  while (!c.plain[0].Read().empty()) {
  }
  CHECK(c.plain[0].error() == ECONNRESET);
}

TEST_CASE("A transport that goes resets its connections and stops listening", "[io][tcp]") {
  EventLoop loop;
  auto server = std::make_unique<Endpoint>(loop);
  REQUIRE(server->transport.Listen().ok());
  const SocketAddress address = server->transport.listen_address();
  PlainSocket plain = PlainSocket::Connect(address);
  RunUntil(loop, [&] { return server->accepted.size() == 1; });
  server->Send(server->accepted[0], "");  // an event is due, and never told
  server.reset();
  CHECK(plain.Read() == "");
  CHECK(plain.error() == ECONNRESET);
  RunSomeTurns(loop);
  Endpoint late(loop);
  const std::uint64_t id = late.Connect(address);
  RunUntil(loop, [&] { return late.seen[id].closed == "connection refused"; });
}

TEST_CASE("The reason of an end says what the other side did", "[io][tcp]") {
  struct Row {
    const char* name;
    void (*act)(PlainSocket&);
    const char* received;
    const char* reason;
  };
  const auto row = GENERATE(Row{"end of stream", [](PlainSocket& s) { s.Close(); }, "", "closed by the other side"},
                            Row{"reset", [](PlainSocket& s) { s.Reset(); }, "", "connection reset by peer"},
                            Row{"last words, end",
                                [](PlainSocket& s) {
                                  s.Write("last words");
                                  s.Close();
                                },
                                "last words", "closed by the other side"},
                            Row{"last words, reset",
                                [](PlainSocket& s) {
                                  s.Write("last words");
                                  s.Reset();
                                },
                                "last words", "connection reset by peer"});
  const bool sending = GENERATE(false, true);  // ours fails first, and what was said before can still be read
  INFO(row.name << (sending ? ", while we send" : ""));
  ToPlain c;
  row.act(c.plain[0]);
  if (sending) c.endpoint.Send(c.id, "too late");
  RunUntil(c.loop, [&] { return !c.endpoint.seen[c.id].closed.empty(); });
  CHECK(c.endpoint.seen[c.id].received == row.received);
  // A socket that ended in order may tell our late bytes so by a reset.
  CHECK((c.endpoint.seen[c.id].closed == row.reason ||
         (sending && c.endpoint.seen[c.id].closed == "connection reset by peer")));
  CHECK(c.endpoint.seen[c.id].code == absl::StatusCode::kUnavailable);
  CHECK(c.endpoint.trace.back() == absl::StrCat(c.id, " closed"));
  CHECK(c.endpoint.transport.connection_count() == 0);
  RunSomeTurns(c.loop);
  CHECK(c.endpoint.trace.back() == absl::StrCat(c.id, " closed"));
}

TEST_CASE("Nothing is received while reading is paused, and all of it afterwards", "[io][tcp]") {
  ToPlain c;
  c.endpoint.transport.PauseReading(c.id);
  c.plain[0].Write("kept ");
  RunSomeTurns(c.loop);
  CHECK(c.endpoint.seen[c.id].received == "");

  c.endpoint.Send(c.id, "sending goes on");
  RunUntil(c.loop, [&] { return c.endpoint.seen[c.id].writable_count == 1; });
  CHECK(c.plain[0].Read() == "sending goes on");

  c.plain[0].Write("back");
  c.endpoint.transport.ResumeReading(c.id);
  c.endpoint.transport.ResumeReading(c.id);
  RunUntil(c.loop, [&] { return c.endpoint.seen[c.id].received == "kept back"; });
}

TEST_CASE("A paused connection that breaks is told when we send or resume", "[io][tcp]") {
  ToPlain c;
  c.endpoint.transport.PauseReading(c.id);
  c.plain[0].Reset();
  RunSomeTurns(c.loop);
  CHECK(c.endpoint.seen[c.id].closed == "");
  SECTION("sending") { c.endpoint.Send(c.id, "x"); }
  SECTION("sending, resumed at once") {
    c.endpoint.Send(c.id, "x");
    c.endpoint.transport.ResumeReading(c.id);
  }
  SECTION("resuming") { c.endpoint.transport.ResumeReading(c.id); }
  RunUntil(c.loop, [&] { return c.endpoint.seen[c.id].closed == "connection reset by peer"; });
}

TEST_CASE("A connection may be paused in the middle of what it receives", "[io][tcp]") {
  ToPlain c;
  c.endpoint.on_event = [&](absl::string_view event, std::uint64_t id) {
    if (event == "received") c.endpoint.transport.PauseReading(id);
  };
  c.plain[0].Write(Pattern(200'000));
  for (int part = 1; c.endpoint.seen[c.id].received.size() < 200'000; ++part) {
    RunUntil(c.loop, [&] { return c.endpoint.seen[c.id].received_count == part; });
    RunSomeTurns(c.loop);
    REQUIRE(c.endpoint.seen[c.id].received_count == part);
    c.endpoint.transport.ResumeReading(c.id);
  }
  CHECK(c.endpoint.seen[c.id].received == Pattern(200'000));
}

TEST_CASE("Any event may close the connection it tells about", "[io][tcp]") {
  const std::string when = GENERATE("connected", "accepted", "received", "writable");
  INFO(when);
  EventLoop loop;
  Endpoint server(loop), client(loop);
  REQUIRE(server.transport.Listen().ok());
  const auto close_at = [&when](Endpoint& endpoint) {
    return [&when, &endpoint](absl::string_view event, std::uint64_t id) {
      if (event == when) endpoint.transport.Close(id);
    };
  };
  server.on_event = close_at(server);
  client.on_event = close_at(client);
  server.echo = true;
  const std::uint64_t id = client.Connect(server.transport.listen_address());
  client.Send(id, "hello");
  RunUntil(loop, [&] { return server.transport.connection_count() + client.transport.connection_count() == 0; });
  RunSomeTurns(loop);
  // Who closed hears no more; the other side hears of the end.
  const bool closed_by_client = !client.trace.empty() && absl::EndsWith(client.trace.back(), when);
  const bool closed_by_server = !server.trace.empty() && absl::EndsWith(server.trace.back(), when);
  CHECK((closed_by_client || closed_by_server));
}

TEST_CASE("Calls for a connection that is gone, or never was, do nothing", "[io][tcp]") {
  ToPlain c;
  c.endpoint.transport.Close(c.id);
  const std::vector<std::string> before = c.endpoint.trace;
  for (const std::uint64_t id : {c.id, c.id + 1000, std::uint64_t{0}}) {
    c.endpoint.Send(id, "lost");
    c.endpoint.transport.PauseReading(id);
    c.endpoint.transport.ResumeReading(id);
    c.endpoint.transport.Admit(id);
    c.endpoint.transport.Close(id);
    CHECK(c.endpoint.transport.queued_size(id) == 0);
  }
  RunSomeTurns(c.loop);
  CHECK(c.endpoint.trace == before);
}

TEST_CASE("A transport may connect to itself: one connection with two ends", "[io][tcp]") {
  EventLoop loop;
  Endpoint both(loop);
  REQUIRE(both.transport.Listen().ok());
  const std::uint64_t made = both.Connect(both.transport.listen_address());
  RunUntil(loop, [&] { return both.accepted.size() == 1 && both.seen.count(made) == 1; });
  const std::uint64_t came = both.accepted[0];
  CHECK(came != made);
  CHECK(both.seen[came].remote == both.seen[made].local);
  both.Send(made, "to myself");
  RunUntil(loop, [&] { return both.seen[came].received == "to myself"; });
  both.transport.Close(came);
  RunUntil(loop, [&] { return both.seen[made].closed == "connection reset by peer"; });
}

TEST_CASE("A connection has keepalive and sends small messages at once", "[io][tcp]") {
  ToPlain c;
  // The descriptor is the transport's; find it by its addresses.
  int found = 0;
  for (int fd = 3; fd < 256; ++fd) {
    const auto local = LocalAddressOf(fd), remote = RemoteAddressOf(fd);
    if (!local.ok() || !remote.ok() || *remote != c.listener.local()) continue;
    ++found;
    const auto option = [fd](int level, int name) {
      int value = -1;
      socklen_t size = sizeof value;
      REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
      return value;
    };
    CHECK(option(SOL_SOCKET, SO_KEEPALIVE) == 1);
    CHECK(option(IPPROTO_TCP, TCP_KEEPIDLE) == 15);
    CHECK(option(IPPROTO_TCP, TCP_KEEPINTVL) == 15);
    CHECK(option(IPPROTO_TCP, TCP_NODELAY) == 1);
  }
  CHECK(found == 1);
}

}  // namespace
}  // namespace weave
