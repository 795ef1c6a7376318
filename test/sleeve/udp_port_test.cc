// Datagrams on loopback. What needs a network of its own is in sleeve_os_root_test.cc.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sleeve/os/udp_port.h"
#include "test/sleeve/udp_ends.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("Datagrams arrive whole and in order, however many and however long", "[sleeve][os]") {
  UdpEnd receiver, sender;
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i) texts.push_back(absl::StrCat("datagram ", i));
  for (const std::size_t size : {1, 1400, 1400, 1400, 65507, 100, 65507}) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 131 >> 3);
    texts.push_back(text);
  }
  for (const bool dont_fragment : {false, true}) {
    INFO("DF " << dont_fragment);
    // With DF, loopback's MTU of 64 KiB carries the largest only just.
    sender.Send(receiver.address(), texts, dont_fragment);
    CHECK(sender.port->stats().send_failures == 0);
    CHECK(receiver.Take(texts.size()) == texts);
    for (const UdpEnd::Arrival& arrival : receiver.arrivals) CHECK(arrival.remote == sender.address());
    receiver.arrivals.clear();
  }
}

TEST_CASE("Equal datagrams that leave in one piece arrive one by one, the shorter last one too", "[sleeve][os]") {
  UdpEnd receiver, sender;
  std::vector<std::string> texts;
  for (char letter = 'a'; letter <= 'z'; ++letter) texts.emplace_back(1300, letter);
  texts.emplace_back(17, '.');
  for (char letter = 'A'; letter <= 'Z'; ++letter) texts.emplace_back(1300, letter);
  sender.Send(receiver.address(), texts, /*dont_fragment=*/true);
  CHECK(receiver.Take(texts.size()) == texts);
}

TEST_CASE("A port on every address tells which one a datagram was for, and answers from it", "[sleeve][os]") {
  UdpEnd server(std::nullopt), client;
  for (const char* text : {"127.0.0.1", "127.0.0.7"}) {
    const IpAddress address = *IpAddress::Parse(text);
    client.Send({address, server.address().port}, {"ask"}, false);
    CHECK(server.Take(1) == std::vector<std::string>{"ask"});
    const UdpEnd::Arrival asked = server.arrivals[0];
    CHECK(asked.local == address);
    server.Send(asked.remote, {"answer"}, false, asked.local);
    CHECK(client.Take(1) == std::vector<std::string>{"answer"});
    CHECK(client.arrivals[0].remote == SocketAddress{address, server.address().port});
    server.arrivals.clear();
    client.arrivals.clear();
  }
}

TEST_CASE("What cannot be sent is counted, and what follows it is sent all the same", "[sleeve][os]") {
  UdpEnd receiver, sender(std::nullopt);
  auto gone = std::make_unique<UdpEnd>();
  const SocketAddress nobody = gone->address();
  gone.reset();

  DatagramBatch batch;
  const DatagramRoute forged{*IpAddress::Parse("203.0.113.1"), receiver.address()};  // not an address of ours
  const DatagramRoute unheard{std::nullopt, nobody};
  const DatagramRoute good{std::nullopt, receiver.address()};
  for (const DatagramRoute* route : {&unheard, &forged, &good, &unheard, &forged, &good}) {
    const absl::Span<std::uint8_t> bytes = batch.Begin(*route, /*dont_fragment=*/false, 1);
    bytes[0] = 'x';
  }
  sender.port->Send(batch, [](const SocketAddress&, std::size_t) { FAIL("nothing was too large"); });
  CHECK(receiver.Take(2) == std::vector<std::string>{"x", "x"});
  CHECK(sender.port->stats().send_failures >= 2);  // and perhaps one that the refusal of an earlier one was told to
}

TEST_CASE("Where the port cannot be taken, the error names the address", "[sleeve][os]") {
  UdpEnd other;
  struct Row {
    IpAddress host;
    std::uint16_t port;
    absl::StatusCode code;
    std::string text;
  };
  const std::vector<Row> rows = {
      {other.address().ip, other.address().port, absl::StatusCode::kAlreadyExists,
       absl::StrCat("bind UDP ", other.address().ToString(), ": Address already in use")},
      {*IpAddress::Parse("203.0.113.1"), 6783, absl::StatusCode::kFailedPrecondition,
       "bind UDP 203.0.113.1:6783: Cannot assign requested address"},
      {IpAddress::V6(1), 6783, absl::StatusCode::kInvalidArgument, "bind UDP [::1]:6783: want an IPv4 address"}};
  for (const Row& row : rows) {
    const absl::Status status = UdpPort::Open(row.host, row.port).status();
    CHECK(status.code() == row.code);
    CHECK(status.message() == row.text);
  }
}

}  // namespace
}  // namespace weave
