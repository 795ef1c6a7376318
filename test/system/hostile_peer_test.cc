// What strangers and bad peers do to the ports of a real `weaver`: it stays up, within bounds, serves the others, and
// its log names the address.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/random.h"
#include "test/support/catch.h"
#include "test/system/recorded_peer.h"
#include "wire/topology.h"

namespace weave {
namespace {

constexpr PeerName kWeaver(1);
constexpr std::size_t kMemoryBound = 24 << 20;  // bytes that a peer may grow by, far below what is thrown at it

// A peer in good standing, in version 2 and in clear.
class Peer {
 public:
  explicit Peer(std::uint64_t name) : name_(name), connection_(TestConnection::Dial()), words_(connection_, 2, false) {
    Features features;
    features.name = name_;
    features.nickname = absl::StrCat("peer", name);
    features.uid = name;
    features.connection_id = name;
    features.overlays = "sleeve";
    Bytes start = EncodeVersionHeader({1, 2});
    start.push_back(0);
    REQUIRE(AppendFrame(2, /*first=*/true, EncodeFeatures(features, 2), start).ok());
    connection_.Send(start);
  }

  void Say(const Bytes& message) {
    Bytes frame;
    REQUIRE(AppendFrame(2, /*first=*/false, message, frame).ok());
    connection_.Send(frame);
  }

  // News about itself and `count` others: so long, and never the same.
  void Tell(std::uint64_t version, int count = 1) {
    std::vector<PeerSummary> peers(1);
    peers[0] = {name_, absl::StrCat("peer", name_.value()), name_.value(), version, std::nullopt, {}};
    peers[0].connections.push_back({kWeaver, "127.0.0.1:6783", true, true});
    for (int i = 1; i <= count; ++i) {
      const PeerName other(name_.value() << 16 | static_cast<std::uint64_t>(i));
      peers.push_back(
          {other, absl::StrCat("other", i), 1, version, std::nullopt, {{name_, Mark(version), true, true}}});
      peers[0].connections.push_back({other, Mark(version), true, true});
    }
    std::vector<EncodedSummary> encoded;
    std::vector<const EncodedSummary*> pointers;
    for (const PeerSummary& peer : peers) encoded.push_back(EncodeSummary(peer));
    for (const EncodedSummary& one : encoded) pointers.push_back(&one);
    const Bytes payload = EncodeTopology(pointers);
    Say(EncodeGossip(MessageTag::kGossip, {"topology", name_, {}, payload}));
  }

  bool IsKnown(const WeaverHost& weaver, std::uint64_t version) const {
    return Eventually([&] { return absl::StrContains(weaver.Page("/status/peers"), Mark(version) + " "); });
  }
  // The weaver takes what this peer says, and keeps the connection.
  bool IsServed(const WeaverHost& weaver, std::uint64_t version) {
    Tell(version);
    return IsKnown(weaver, version) && connection_.IsOpen();
  }

  TestConnection& connection() { return connection_; }
  WeaverWords& words() { return words_; }

 private:
  // What the links in its news have for an address.
  std::string Mark(std::uint64_t version) const { return absl::StrCat("news-", name_.value(), ":", version); }

  const PeerName name_;
  TestConnection connection_;
  WeaverWords words_;
};

bool IsClosed(TestConnection& connection) {
  Bytes received;
  while (connection.Receive(received)) {
  }
  return true;
}

Bytes RandomBytes(Random& random, std::size_t size) {
  Bytes bytes(size);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.Below(256));
  return bytes;
}

}  // namespace

TEST_CASE("Who does not speak the protocol is closed, and the log says who it was", "[system]") {
  const WeaverHost weaver("::1");
  Peer bystander(2);
  Bytes oversized = EncodeVersionHeader({1, 2});
  for (const std::uint8_t byte : {0, 0xff, 0xff, 0xff, 0xff}) oversized.push_back(byte);
  Bytes large_features = EncodeVersionHeader({1, 2});
  for (const std::uint8_t byte : {0, 0x00, 0x9f, 0xff, 0xff}) large_features.push_back(byte);
  Bytes endless_gob = EncodeVersionHeader({1, 1});
  for (const std::uint8_t byte : {0xf8, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) endless_gob.push_back(byte);
  Bytes wrong_flag = EncodeVersionHeader({1, 2});
  wrong_flag.push_back(7);
  const Bytes cases[] = {
      Bytes(1000, 'A'),
      Bytes{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc},  // a TLS client
      EncodeVersionHeader({3, 9}),
      wrong_flag,
      oversized,
      large_features,
      endless_gob,
  };
  int count = 0;
  for (const Bytes& bytes : cases) {
    CAPTURE(ToHex(ByteView(bytes).first(std::min<std::size_t>(bytes.size(), 16))));
    TestConnection connection = TestConnection::Dial();
    connection.Send(bytes);
    CHECK(IsClosed(connection));
    ++count;
    INFO(weaver.Log());
    CHECK(Eventually([&] {
      int lines = 0;
      const std::string log = weaver.Log();
      for (std::size_t at = 0; (at = log.find("connection ended address=127.0.0.1:", at)) != std::string::npos; ++at)
        ++lines;
      return lines == count;
    }));
  }
  CHECK(bystander.IsServed(weaver, 2));
}

TEST_CASE("A peer that sends nonsense after it was let in is closed, and it alone", "[system]") {
  const WeaverHost weaver("::1");
  Peer bystander(2);
  REQUIRE(bystander.IsServed(weaver, 2));
  const std::size_t memory = weaver.MemorySize();
  const std::uint64_t seed = Catch::rngSeed();
  CAPTURE(seed);
  Random random(seed);
  const Bytes prefix_of_too_much = {0x00, 0xa0, 0x00, 0x01};
  for (int i = 0; i < 20; ++i) {
    Peer peer(3);
    REQUIRE(peer.IsServed(weaver, 2));
    if (i % 2 == 0)
      peer.connection().Send(prefix_of_too_much);
    else
      for (int j = 0; j < 50 && peer.connection().IsOpen(); ++j) peer.Say(RandomBytes(random, random.Below(300)));
    // A truncated gossip ends it for sure.
    peer.Say({4, 200, 'x'});
    CHECK(IsClosed(peer.connection()));
  }
  CHECK(bystander.IsServed(weaver, 3));
  CHECK(weaver.MemorySize() < memory + kMemoryBound);
}

TEST_CASE("Connections that say nothing do not keep a peer out", "[system]") {
  const WeaverHost weaver("::1");
  Peer bystander(2);
  REQUIRE(bystander.IsServed(weaver, 2));
  const std::size_t memory = weaver.MemorySize();
  std::vector<TestConnection> silent;
  for (int i = 0; i < 200; ++i) silent.push_back(TestConnection::Dial());
  Peer late(3);
  CHECK(late.IsServed(weaver, 2));
  CHECK(bystander.IsServed(weaver, 3));
  CHECK(weaver.MemorySize() < memory + kMemoryBound);
}

TEST_CASE("Garbage at the UDP port disturbs nobody", "[system]") {
  const WeaverHost weaver("::1");
  Peer bystander(2);
  REQUIRE(bystander.IsServed(weaver, 2));
  const std::size_t memory = weaver.MemorySize();
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(6783);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const std::uint64_t seed = Catch::rngSeed();
  CAPTURE(seed);
  Random random(seed);
  for (int i = 0; i < 20'000; ++i) {
    Bytes datagram = RandomBytes(random, random.Below(i % 100 == 0 ? 60'000 : 100));
    if (i % 3 == 0 && datagram.size() >= 6) {  // with the name of a peer that is connected
      std::fill_n(datagram.begin(), 6, std::uint8_t{0});
      datagram[5] = 2;
    }
    ::sendto(fd.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&address),
             sizeof address);
  }
  CHECK(bystander.IsServed(weaver, 3));
  CHECK(weaver.MemorySize() < memory + kMemoryBound);
  CHECK(weaver.Log().size() < 100'000);
}

TEST_CASE("A peer that stops reading costs no more than its buffers", "[system]") {
  const WeaverHost weaver("::1");
  Peer slow(3);
  Peer talker(2);
  REQUIRE(talker.IsServed(weaver, 2));
  const std::size_t memory = weaver.MemorySize();
  // Some 40 MB for the slow one, were they kept.
  for (std::uint64_t version = 3; version < 300; ++version) talker.Tell(version, 1500);
  talker.Tell(1000, 1500);
  CHECK(talker.IsKnown(weaver, 1000));
  CHECK(talker.connection().IsOpen());
  CHECK(weaver.MemorySize() < memory + kMemoryBound);
  CHECK(weaver.IsRunning());
}

}  // namespace weave
