// Fuzz target: everything that another host, or a container, can do to the overlay, in any order. Two connections are
// confirmed, one in clear and one sealed, both of neighbours that the routes name. The input is a list of steps: what
// happens (1 byte), how many bytes with it (2, big-endian), these bytes. Sealed contents are also fuzzed behind the
// seal.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/check.h"
#include "base/log.h"
#include "overlay/overlay_switch.h"
#include "sleeve/frame_crypto.h"
#include "sleeve/sleeve_codec.h"
#include "sleeve/sleeve_forwarder.h"
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

const SocketAddress kOurEnd = {IpAddress::V4(0x0a000001), 6783};

SocketAddress AddressOf(PeerName peer) { return {IpAddress::V4(0x0a000000 + peer.value()), 6783}; }

// What the reader takes apart is made of the same bytes again.
void FuzzReader(ByteView bytes) {
  SleeveFrameReader reader(bytes);
  Bytes written;
  while (const auto frame = reader.Next()) {
    const std::size_t before = written.size();
    written.resize(before + kFrameHeaderSize);
    WriteFrameHeader(frame->source, frame->destination, frame->frame.size(), written.data() + before);
    written.insert(written.end(), frame->frame.begin(), frame->frame.end());
  }
  CHECK(written.size() <= bytes.size() && std::equal(written.begin(), written.end(), bytes.begin()));
  CHECK(reader.status().ok() == (written.size() == bytes.size())) << reader.status();
}

// A topology in which we have links to both neighbours, as they say too.
std::shared_ptr<const TopologyView> MakeTopology() {
  std::vector<PeerRecordPtr> records;
  for (const PeerName name : {kSelf, kClearPeer, kSealedPeer}) {
    PeerSummary summary;
    summary.name = name;
    for (const PeerName other : {kSelf, kClearPeer, kSealedPeer}) {
      if (other == name || (name != kSelf && other != kSelf)) continue;
      ConnectionSummary link;
      link.peer = other;
      link.established = true;
      summary.connections.push_back(link);
    }
    records.push_back(std::make_shared<const PeerRecord>(std::move(summary)));
  }
  std::vector<TopologyView::Entry> entries;
  for (const PeerRecordPtr& record : records) entries.push_back({record.get(), entries.size() + 1});
  return std::make_shared<const TopologyView>(entries, TopologyView());
}

class World final : private SleeveIo {
 public:
  World() {
    Start(kClear, kClearPeer, /*outbound=*/true);
    Start(kSealed, kSealedPeer, /*outbound=*/false);
    router_.SetForwarding(std::make_shared<const ForwardingSnapshot>(ForwardingSnapshot{
        kSelf, MakeTopology(), {{kClearPeer, kClear, {Way::kSleeve}}, {kSealedPeer, kSealed, {Way::kSleeve}}}}));
  }

  void Step(std::uint8_t what, ByteView bytes) {
    const std::size_t bytes_in = bytes.size();
    switch (what % 8) {
      case 0:
        FuzzReader(bytes);
        forwarder_.OnDatagram(now_.monotonic, kOurEnd.ip, AddressOf(kClearPeer), bytes);
        break;
      case 1: {
        Bytes sealed(sealer_.header_size());
        sealed.insert(sealed.end(), bytes.begin(), bytes.end());
        sealer_.Seal(absl::MakeSpan(sealed));
        forwarder_.OnDatagram(now_.monotonic, kOurEnd.ip, AddressOf(kSealedPeer), sealed);
        break;
      }
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
      case 5:
        Capture(bytes);
        break;
      default:
        now_.monotonic = now_.monotonic + absl::Milliseconds(Number(bytes));
        overlays_.OnTimer(now_);
        router_.OnTimer(now_.monotonic);
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

  // The first bytes say what the kernel left undone.
  void Capture(ByteView bytes) {
    if (bytes.size() < 8) return;
    Frame frame{bytes.subspan(8), {}};
    frame.offload.needs_checksum = (bytes[0] & 1) != 0;
    frame.offload.segments = static_cast<FrameOffload::Segments>(bytes[0] >> 1 & 3);
    frame.offload.checksum_start = bytes[1];
    frame.offload.checksum_offset = bytes[2];
    frame.offload.segment_size = static_cast<std::uint16_t>(bytes[3] << 8 | bytes[4]);
    forwarder_.OnCaptured(now_.monotonic, frame);
  }

  void CheckOutput(std::size_t bytes_in) {
    forwarder_.Flush();
    for (const SpecialFrameReceived& frame : std::exchange(special_, {})) sleeve_.OnSpecialFrame(now_, frame);
    const std::vector<OverlayEvent> events = overlays_.TakeEvents(now_);
    // Of an answer a special frame has one at most.
    CHECK(events.size() <= bytes_in / (kFrameHeaderSize + kEthernetHeaderSize) + 4) << events.size();
    const std::vector<SleeveCommand> commands = sleeve_.TakeCommands();
    CHECK(commands.size() <= 16) << commands.size();
    for (const SleeveCommand& command : commands) forwarder_.OnCommand(command);
    forwarder_.Flush();
    for (const ConnectionId id : {kClear, kSealed}) {
      const SleeveConnection* connection = sleeve_.Find(id);
      if (connection == nullptr) continue;
      const MtuSearch& search = connection->mtu_search();
      CHECK(search.mtu() >= MtuSearch::kLeast && search.mtu() <= MtuSearch::kUnknownMtu) << search.mtu();
      CHECK(search.max_payload_size() <= kMaxDatagramPayloadSize) << search.max_payload_size();
    }
  }

  // SleeveIo:
  void Send(DatagramBatch& batch) override {
    for (const DatagramBatch::Datagram& datagram : batch.datagrams()) {
      CHECK(datagram.size <= kMaxDatagramPayloadSize) << datagram.size;
      CHECK(DatagramSender(batch.BytesOf(datagram)) == kSelf);
    }
  }
  void Inject(const FrameBatch& batch) override {
    for (const Frame& frame : batch.frames()) {
      CHECK(frame.bytes.size() >= kEthernetHeaderSize) << frame.bytes.size();
      for (const std::uint8_t byte : frame.bytes) checksum_ += byte;
    }
  }
  void OnSpecialFrame(const SpecialFrameReceived& frame) override { special_.push_back(frame); }

  NullLogger logger_;
  SleeveOverlay sleeve_{kSelf, logger_};
  PacketRouter router_;
  SleeveForwarder forwarder_{kSelf, router_, *this};
  std::vector<SpecialFrameReceived> special_;
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
