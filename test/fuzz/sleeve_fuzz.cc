// Fuzz target: everything that another host can do to the overlay, in any order. Two connections are confirmed, one in
// clear and one sealed. The input is a list of steps: what happens (1 byte), how many bytes with it (2, big-endian),
// these bytes. Sealed contents are also fuzzed behind the seal.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "overlay/overlay_switch.h"
#include "sleeve/frame_crypto.h"
#include "sleeve/sleeve_codec.h"
#include "sleeve/sleeve_overlay.h"

namespace weave {
namespace {

const PeerName kSelf(1);
const PeerName kClearPeer(2);
const PeerName kSealedPeer(3);
constexpr ConnectionId kClear = 12;
constexpr ConnectionId kSealed = 13;
constexpr SessionKey kKey = {1, 2, 3};
constexpr std::size_t kMaxStepCount = 64;
constexpr std::size_t kMaxDatagramSize = 65507;

const SocketAddress kOurEnd = {IpAddress::V4(0x0a000001), 6783};

SocketAddress AddressOf(PeerName peer) { return {IpAddress::V4(0x0a000000 + peer.value()), 6783}; }

// What the reader takes apart is made of the same bytes again.
void FuzzReader(ByteView bytes) {
  SleeveFrameReader reader(bytes);
  Bytes written;
  while (const auto frame = reader.Next()) AppendSleeveFrame(*frame, written);
  CHECK(written.size() <= bytes.size() && std::equal(written.begin(), written.end(), bytes.begin()));
  CHECK(reader.status().ok() == (written.size() == bytes.size())) << reader.status();
}

class World {
 public:
  World() {
    Start(kClear, kClearPeer, /*outbound=*/true);
    Start(kSealed, kSealedPeer, /*outbound=*/false);
  }

  void Step(std::uint8_t what, ByteView bytes) {
    // A datagram's frames are looked at before `bytes` or `sealed` go.
    Bytes sealed;
    const std::size_t bytes_in = bytes.size();
    switch (what % 6) {
      case 0:
        FuzzReader(bytes);
        sleeve_.OnDatagram(now_, kOurEnd.ip, AddressOf(kClearPeer), bytes);
        break;
      case 1:
        sealer_.Begin(sealed);
        sealed.insert(sealed.end(), bytes.begin(), bytes.end());
        sealer_.Finish(sealed);
        sleeve_.OnDatagram(now_, kOurEnd.ip, AddressOf(kSealedPeer), sealed);
        break;
      case 2:
        CheckRefusal(overlays_.OnControl(now_, kClear, bytes));
        break;
      case 3:
        CheckRefusal(overlays_.OnControl(now_, kSealed, bytes));
        break;
      case 4: {
        const SocketAddress& remote = AddressOf(bytes.size() % 2 == 0 ? kClearPeer : kSealedPeer);
        sleeve_.OnMessageTooBig(now_, remote, Number(bytes));
        break;
      }
      default:
        now_.monotonic = now_.monotonic + absl::Milliseconds(Number(bytes));
        overlays_.OnTimer(now_);
        CHECK(!sleeve_.NextDeadline().has_value() || *sleeve_.NextDeadline() > now_.monotonic);
    }
    CheckOutput(bytes_in);
  }

 private:
  void Start(ConnectionId id, PeerName remote, bool outbound) {
    OverlayConnection connection;
    connection.connection = id;
    connection.uid = id;
    connection.remote = remote;
    connection.outbound = outbound;
    connection.local_tcp = kOurEnd;
    connection.remote_tcp = AddressOf(remote);
    if (id == kSealed) {
      connection.key = kKey;
      connection.remote_overlays = "sleeve";  // the other one uses the compatibility form
    }
    CHECK(overlays_.Prepare(now_, connection).ok());
    overlays_.Confirm(now_, id);
  }

  static std::uint32_t Number(ByteView bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes.size() && i < 3; ++i) value = value << 8 | bytes[i];
    return value;
  }

  static void CheckRefusal(const absl::Status& status) {
    CHECK(status.ok() || (status.message().size() < 200 && status.message().find('\n') == std::string::npos)) << status;
  }

  void CheckOutput(std::size_t bytes_in) {
    const OverlayOutput out = overlays_.TakeOutput(now_);
    std::size_t frame_bytes = 0;
    for (const OverlayFrame& frame : out.frames) {
      CHECK(frame.frame.size() >= kEthernetHeaderSize) << frame.frame.size();
      for (const std::uint8_t byte : frame.frame) checksum_ += byte;
      frame_bytes += frame.frame.size() + kFrameHeaderSize;
    }
    CHECK(frame_bytes <= bytes_in) << "frames grew";
    // Of an answer a special frame has one at most.
    CHECK(out.events.size() <= bytes_in / (kFrameHeaderSize + kEthernetHeaderSize) + 4) << out.events.size();
    CHECK(out.datagrams.size() <= 8) << out.datagrams.size();
    for (const OverlayDatagram& datagram : out.datagrams) {
      CHECK(datagram.payload.size() <= kMaxDatagramSize) << datagram.payload.size();
      CHECK(DatagramSender(datagram.payload) == kSelf);
    }
    for (const ConnectionId id : {kClear, kSealed}) {
      const SleeveConnection* connection = sleeve_.Find(id);
      if (connection == nullptr) continue;
      const MtuSearch& search = connection->mtu_search();
      CHECK(search.mtu() >= MtuSearch::kLeast && search.mtu() <= MtuSearch::kUnknownMtu) << search.mtu();
      CHECK(search.max_payload_size() <= kMaxDatagramSize) << search.max_payload_size();
    }
  }

  NullLogger logger_;
  SleeveOverlay sleeve_{kSelf, logger_};
  OverlaySwitch overlays_{{&sleeve_}, &sleeve_, logger_};
  FrameSealer sealer_{kSealedPeer, kKey, /*sender_dialled=*/true, /*dont_fragment=*/true};
  Now now_;
  std::uint64_t checksum_ = 0;
};

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  weave::World world;
  weave::ByteView rest(data, size);
  for (std::size_t step = 0; step < weave::kMaxStepCount && rest.size() >= 3; ++step) {
    const std::size_t length = std::min<std::size_t>(rest[1] << 8 | rest[2], rest.size() - 3);
    world.Step(rest[0], rest.subspan(3, length));
    rest = rest.subspan(3 + length);
  }
  return 0;
}
