// The sleeve path's sockets on networks of their own: small MTUs, routers that tell of them, and a bridge's interface.
#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sleeve/frame_batch.h"
#include "sleeve/os/bridge_tap.h"
#include "test/io/private_network.h"
#include "test/sleeve/packets.h"
#include "test/sleeve/udp_ends.h"
#include "test/support/catch.h"

namespace weave {
namespace {

SocketAddress At(absl::string_view text) { return *SocketAddress::Parse(text); }

using TooBig = std::vector<std::pair<SocketAddress, std::size_t>>;

TEST_CASE("A datagram larger than the link is fragmented or refused, as asked; the limit is told once",
          "[sleeve][os]") {
  const PrivateNetwork network;
  Run("ip link add small mtu 576 type veth peer name end");
  Run("ip addr add 10.9.0.1/24 dev small");
  Run("ip link set small up");
  Run("ip link set end up");
  Run("ip route add 10.9.1.0/24 dev small mtu 560");
  UdpEnd end(std::nullopt);
  const SocketAddress near = At("10.9.0.2:6783"), far = At("10.9.1.2:6783");
  const std::string fits(576 - 28, 'x'), too_large(576 - 28 + 1, 'x');

  end.Send(near, {fits, too_large}, /*dont_fragment=*/false);
  CHECK(end.too_big.empty());
  CHECK(end.port->stats().send_failures == 0);
  end.Send(near, {too_large, fits, too_large, too_large}, /*dont_fragment=*/true);
  CHECK(end.too_big == TooBig{{near, 576}});
  CHECK(end.port->stats().send_failures == 3);
  end.Send(far, {std::string(560 - 28 + 1, 'x')}, /*dont_fragment=*/true);
  CHECK(end.too_big == TooBig{{near, 576}, {far, 560}});
  end.Send(near, {too_large}, /*dont_fragment=*/false);
  CHECK(end.port->stats().send_failures == 4);

  CHECK(end.port->PathMtu({std::nullopt, near}).value() == 576);
  CHECK(end.port->PathMtu({std::nullopt, far}).value() == 560);
  CHECK(end.port->PathMtu({std::nullopt, At("10.7.1.2:6783")}).status().message() ==
        "path MTU to 10.7.1.2:6783: Network is unreachable");
}

TEST_CASE("What a router says of the path is known from then on", "[sleeve][os]") {
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

  UdpEnd end(std::nullopt);
  const SocketAddress beyond = At("10.9.9.2:6783");
  CHECK(end.port->PathMtu({std::nullopt, beyond}).value() == 1500);
  for (int i = 0; i < 30'000 && end.too_big.empty(); ++i) {
    end.Send(beyond, {std::string(1000, 'x')}, /*dont_fragment=*/true);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(end.too_big == TooBig{{beyond, 600}});
  CHECK(end.port->PathMtu({std::nullopt, beyond}).value() == 600);
  CHECK(end.port->PathMtu({std::nullopt, At("10.9.0.2:6783")}).value() == 1500);
}

TEST_CASE("A port that can take no more loses what does not fit, and never says that it is too large", "[sleeve][os]") {
  const PrivateNetwork network;
  // Nobody answers for the neighbour, so datagrams wait for it, in the buffer of the socket.
  Run("ip link add near type veth peer name far");
  Run("ip addr add 10.9.0.1/24 dev near");
  Run("ip link set near up");
  Run("ip link set far up");
  Run("sysctl -qw net.ipv4.neigh.near.unres_qlen_bytes=100000000");
  UdpEnd end(std::nullopt);
  const std::vector<std::string> texts(300, std::string(1400, 'x'));
  for (int i = 0; i < 1000 && end.port->stats().send_failures == 0; ++i)
    end.Send(At("10.9.0.2:6783"), texts, /*dont_fragment=*/true);
  CHECK(end.port->stats().send_failures > 0);
  CHECK(end.too_big.empty());
}

// A veth pair: the tap is on one end, frames are injected and seen on the other.
class TappedPair {
 public:
  TappedPair() {
    Run("ip link add near mtu 1500 type veth peer name far");
    for (const char* end : {"near", "far"}) {
      Run(absl::StrCat("sysctl -qw net.ipv6.conf.", end, ".disable_ipv6=1"));
      Run(absl::StrCat("ip link set ", end, " up"));
    }
    for (const char* end : {"near", "far"}) AwaitSending(end);
    near = Open("near");
    far = Open("far");
  }

  // On a busy machine a moment passes until a link that is up also sends: before that the kernel drops frames. A minute
  // is a failure.
  static void AwaitSending(const char* interface) {
    const auto sends = [&] {
      const auto shown = RunSuccessfully({.argv = {"ip", "-o", "link", "show", interface}});
      REQUIRE(shown.status() == absl::OkStatus());
      return absl::StrContains(shown->output, "state UP");
    };
    for (int i = 0; i < 6000; ++i) {
      if (sends()) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL(interface << " does not come up");
  }

  static std::unique_ptr<BridgeTap> Open(const char* interface) {
    absl::StatusOr<std::unique_ptr<BridgeTap>> opened = BridgeTap::Open(interface, 1 << 20);
    REQUIRE(opened.status() == absl::OkStatus());
    return *std::move(opened);
  }

  static void Inject(BridgeTap& tap, const std::vector<Frame>& frames) {
    FrameBatch batch;
    for (const Frame& frame : frames) batch.Add(frame);
    tap.Inject(batch);
  }

  struct Seen {
    std::string bytes;
    FrameOffload offload;
  };
  static std::vector<Seen> Take(BridgeTap& tap, std::size_t count) {
    std::vector<Seen> seen;
    while (seen.size() < count) {
      AwaitReadable(tap.fd());
      tap.Receive([&](const Frame& frame) { seen.push_back({ToHex(frame.bytes), frame.offload}); });
    }
    return seen;
  }

  const PrivateNetwork network;
  std::unique_ptr<BridgeTap> near;
  std::unique_ptr<BridgeTap> far;
};

TEST_CASE("Frames pass a tap both ways, byte for byte, and those it injects it does not see", "[sleeve][os]") {
  TappedPair pair;
  std::vector<Bytes> bytes;
  for (int i = 0; i < 100; ++i) {
    Ipv4Spec spec;
    spec.payload = Counting(static_cast<std::size_t>(8 + i * 14));
    spec.payload[0] = static_cast<std::uint8_t>(i);
    bytes.push_back(MakeIpv4(spec));
  }
  std::vector<Frame> frames;
  for (const Bytes& frame : bytes) frames.push_back({frame, {}});
  pair.Inject(*pair.near, frames);
  const std::vector<TappedPair::Seen> seen = pair.Take(*pair.far, frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    CHECK(seen[i].bytes == ToHex(bytes[i]));
    CHECK(seen[i].offload.none());
  }
  const Bytes answer = MakeIpv4({.payload = Counting(8), .to = kClientMac, .from = kServerMac});
  pair.Inject(*pair.far, {{answer, {}}});
  const std::vector<TappedPair::Seen> back = pair.Take(*pair.near, 1);
  REQUIRE(back.size() == 1);  // not the hundred of its own
  CHECK(back[0].bytes == ToHex(answer));
  CHECK(pair.far->stats().received == frames.size());
  CHECK(pair.far->stats().dropped == 0);
}

TEST_CASE("Segments that the kernel left in one piece pass a tap in one piece", "[sleeve][os]") {
  TappedPair pair;
  const Bytes whole = MakeTcp(1000, 20'000);
  pair.Inject(*pair.near, {{whole, TcpOffload(1400)}});
  const std::vector<TappedPair::Seen> seen = pair.Take(*pair.far, 1);
  CHECK(seen[0].bytes == ToHex(whole));
  CHECK(seen[0].offload.segments == FrameOffload::Segments::kTcp4);
  CHECK(seen[0].offload.segment_size == 1400);
  CHECK(seen[0].offload.needs_checksum);
  CHECK(seen[0].offload.checksum_start == 34);
  CHECK(seen[0].offload.checksum_offset == 16);
}

TEST_CASE("A VLAN tag that the kernel took out is back in the frame", "[sleeve][os]") {
  TappedPair pair;
  const std::string plain = ToHex(MakeIpv4({.payload = Counting(64)}));
  const Bytes tagged = FromHex(plain.substr(0, 24) + "81000007" + plain.substr(24)).value();
  pair.Inject(*pair.far, {{tagged, {}}});
  CHECK(pair.Take(*pair.near, 1)[0].bytes == ToHex(tagged));
}

TEST_CASE("A tap whose interface goes down lives; one whose interface is deleted is dead", "[sleeve][os]") {
  TappedPair pair;
  const auto drain = [&] {
    while (pair.near->Receive([](const Frame&) {})) {
    }
  };
  Run("ip link set near down");
  AwaitReadable(pair.near->fd());
  drain();
  CHECK(pair.near->down());
  CHECK_FALSE(pair.near->dead());
  Run("ip link set near up");
  TappedPair::AwaitSending("near");
  TappedPair::AwaitSending("far");
  const Bytes frame = MakeIpv4({.payload = Counting(64)});
  pair.Inject(*pair.far, {{frame, {}}});
  CHECK(pair.Take(*pair.near, 1)[0].bytes == ToHex(frame));
  CHECK_FALSE(pair.near->down());

  Run("ip link del near");
  AwaitReadable(pair.near->fd());
  drain();
  CHECK(pair.near->dead());
  CHECK(BridgeTap::Open("near", 1 << 20).status().message() == "capture on near: No such device");
}

}  // namespace
}  // namespace weave
