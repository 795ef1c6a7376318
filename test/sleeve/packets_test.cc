// Checksums, segments and fragments of the packets inside frames.
#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "overlay/fragmentation.h"
#include "sleeve/frame_batch.h"
#include "sleeve/frame_offload.h"
#include "test/sleeve/packets.h"
#include "test/support/catch.h"

namespace weave {
namespace {

std::uint16_t SlowSum(ByteView bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += static_cast<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::vector<Bytes> Segments(const Bytes& frame, const FrameOffload& offload) {
  FrameSegmenter segmenter({frame, offload});
  std::vector<Bytes> segments;
  while (!segmenter.done()) {
    Bytes segment(segmenter.next_size());
    segmenter.WriteNext(absl::MakeSpan(segment));
    segments.push_back(segment);
  }
  return segments;
}

std::vector<Bytes> Fragments(const Bytes& frame, std::size_t mtu) {
  Ipv4Fragmenter fragmenter(frame, ReadInnerIpv4(frame).value(), mtu);
  std::vector<Bytes> fragments;
  while (!fragmenter.done()) {
    Bytes fragment(fragmenter.next_size());
    fragmenter.WriteNext(absl::MakeSpan(fragment));
    fragments.push_back(fragment);
  }
  return fragments;
}

TEST_CASE("The sum of any bytes is that of RFC 1071", "[sleeve]") {
  CHECK(OnesComplementSum(FromHex("0001f203f4f5f6f7").value()) == 0xddf2);  // its example
  const std::uint64_t seed = 11;
  CAPTURE(seed);
  Random random(seed);
  for (std::size_t size = 0; size < 200; ++size) {
    Bytes bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.Next());
    CAPTURE(size);
    CHECK(OnesComplementSum(bytes) == SlowSum(bytes));
  }
  CHECK(OnesComplementSum(Bytes(65535, 0xff)) == 0xff00);
}

TEST_CASE("An IPv4 header that contradicts itself is none", "[sleeve]") {
  const Bytes good = MakeIpv4({.payload = Counting(16)});
  REQUIRE(ReadInnerIpv4(good).has_value());
  CHECK(ReadInnerIpv4(good)->packet_size == 36);
  struct Row {
    std::string what;
    std::size_t at;
    std::uint8_t value;
  };
  const Row rows[] = {{"another protocol", 12, 0x86},    {"IPv6", 14, 0x65},
                      {"header of 16 bytes", 14, 0x44},  {"shorter than its header", 17, 19},
                      {"longer than the frame", 17, 37}, {"a header beyond the packet", 14, 0x4f}};
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Bytes bad = good;
    bad[row.at] = row.value;
    CHECK_FALSE(ReadInnerIpv4(bad).has_value());
  }
  CHECK_FALSE(ReadInnerIpv4(ByteView(good).first(33)).has_value());
  CHECK_FALSE(ReadInnerIpv4(MakeIpv4({.payload = Counting(24), .fragment = 0x1fff})).has_value());  // beyond 65535
}

TEST_CASE("Segments of a large TCP frame have complete checksums, their own numbers, and the payload in order",
          "[sleeve]") {
  const Bytes frame = MakeTcp(0xffffff00, 3000, /*flags=*/0x99);  // CWR, ACK, PSH, FIN
  const std::vector<Bytes> segments = Segments(frame, TcpOffload(1386));
  REQUIRE(segments.size() == 3);
  Bytes payload;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    CAPTURE(i);
    const Bytes& segment = segments[i];
    const InnerIpv4 ip = ReadInnerIpv4(segment).value();
    CHECK(ip.packet_size == segment.size() - 14);
    CHECK(OnesComplementSum(ByteView(segment).subspan(14, 20)) == 0xffff);
    CHECK(TcpChecksumIsRight(segment, 34));
    CHECK(Read16(segment.data() + 18) == 0x1234 + i);
    CHECK(Read32(segment.data() + 38) == static_cast<std::uint32_t>(0xffffff00 + i * 1386));
    CHECK(int{segment[47]} == (i == 0 ? 0x90 : i == 1 ? 0x10 : 0x19));
    payload.insert(payload.end(), segment.begin() + 66, segment.end());
  }
  CHECK(payload == Counting(3000));
}

TEST_CASE("Segments of a frame with VLAN tags are those of the frame without, each with the tags", "[sleeve]") {
  const Bytes plain = MakeTcp(7, 3000);
  for (const std::string tags : {"81000007", "88a8000581000007"}) {
    CAPTURE(tags);
    const auto tagged = [&](const Bytes& frame) {
      const std::string hex = ToHex(frame);
      return FromHex(hex.substr(0, 24) + tags + hex.substr(24)).value();
    };
    FrameOffload offload = TcpOffload(1386);
    offload.checksum_start = static_cast<std::uint16_t>(offload.checksum_start + tags.size() / 2);
    CHECK(IsConsistent({tagged(plain), offload}));
    CHECK_FALSE(IsConsistent({tagged(plain), TcpOffload(1386)}));
    std::vector<Bytes> expected;
    for (const Bytes& segment : Segments(plain, TcpOffload(1386))) expected.push_back(tagged(segment));
    CHECK(Segments(tagged(plain), offload) == expected);
  }
}

TEST_CASE("A frame whose offload makes no sense is told", "[sleeve]") {
  const Bytes frame = MakeTcp(1, 3000);
  CHECK(IsConsistent({frame, TcpOffload(1386)}));
  CHECK(IsConsistent({frame, TcpOffload(0)}));
  CHECK(IsConsistent({frame, {}}));
  std::vector<FrameOffload> bad(5, TcpOffload(1386));
  bad[0].segment_size = 0;
  bad[1].needs_checksum = false;
  bad[2].checksum_start = 38;
  bad[3].checksum_offset = 6;
  bad[4].segments = FrameOffload::Segments::kTcp6;
  for (const FrameOffload& offload : bad) CHECK_FALSE(IsConsistent({frame, offload}));
  FrameOffload beyond = TcpOffload(0);
  beyond.checksum_start = static_cast<std::uint16_t>(frame.size() - 17);
  CHECK_FALSE(IsConsistent({frame, beyond}));
  CHECK_FALSE(IsConsistent({ByteView(frame).first(66), TcpOffload(1386)}));  // nothing to cut
}

TEST_CASE("Segments that follow each other are one frame again", "[sleeve]") {
  const Bytes frame = MakeTcp(7, 60000);
  FrameBatch batch;
  for (const Bytes& segment : Segments(frame, TcpOffload(1386))) batch.Add({segment, {}});
  REQUIRE(batch.frames().size() == 1);
  const Frame& joined = batch.frames()[0];
  CHECK(Bytes(joined.bytes.begin(), joined.bytes.end()) == frame);
  CHECK(joined.offload.segments == FrameOffload::Segments::kTcp4);
  CHECK(joined.offload.segment_size == 1386);
  CHECK(IsConsistent(joined));
}

TEST_CASE("IPv6 segments are one frame again, unless they differ in anything that matters", "[sleeve]") {
  const Bytes frame = MakeTcp6(7, 60000);
  std::vector<Bytes> segments = Segments(frame, Tcp6Offload(1386));
  FrameBatch batch;
  for (const Bytes& segment : segments) batch.Add({segment, {}});
  REQUIRE(batch.frames().size() == 1);
  const Frame& joined = batch.frames()[0];
  CHECK(Bytes(joined.bytes.begin(), joined.bytes.end()) == frame);
  CHECK(joined.offload.segments == FrameOffload::Segments::kTcp6);
  CHECK(joined.offload.checksum_start == 54);
  CHECK(joined.offload.segment_size == 1386);
  CHECK(IsConsistent(joined));

  for (const std::size_t at : {0, 6, 15, 17, 21, 22, 38, 54, 62, 68, 80}) {  // as for IPv4; and the flow label
    CAPTURE(at);
    batch.Clear();
    batch.Add({segments[0], {}});
    Bytes other = segments[1];
    other[at] ^= 1;
    batch.Add({other, {}});
    CHECK(batch.frames().size() == 2);
  }
  batch.Clear();
  batch.Add({Segments(MakeTcp(7, 1000), TcpOffload(1000))[0], {}});
  batch.Add({Segments(MakeTcp6(1007, 1000), Tcp6Offload(1000))[0], {}});
  CHECK(batch.frames().size() == 2);
}

TEST_CASE("Only what certainly belongs together is joined", "[sleeve]") {
  const std::vector<Bytes> segments = Segments(MakeTcp(7, 3 * 1000), TcpOffload(1000));
  const auto count = [](const std::vector<Bytes>& frames) {
    FrameBatch batch;
    for (const Bytes& frame : frames) batch.Add({frame, {}});
    return batch.frames().size();
  };
  CHECK(count(segments) == 1);
  CHECK(count({segments[0], segments[2]}) == 2);  // one is missing
  CHECK(count({segments[1], segments[0]}) == 2);  // out of order
  CHECK(count({segments[0], segments[0]}) == 2);  // twice
  for (const std::size_t at :
       {0, 6, 15, 22, 26, 34, 42, 48, 60}) {  // MACs, TOS, TTL, address, port, ack, window, timestamp
    CAPTURE(at);
    Bytes other = segments[1];
    other[at] ^= 1;
    CHECK(count({segments[0], other}) == 2);
  }
  Bytes damaged = segments[1];
  damaged.back() ^= 1;
  CHECK(count({segments[0], damaged}) == 2);
  damaged = segments[0];
  damaged.back() ^= 1;
  CHECK(count({damaged, segments[1]}) == 2);
  CHECK(count({Segments(MakeTcp(7, 1000, 0x18), TcpOffload(1000))[0], segments[1]}) == 2);  // pushed
  CHECK(count({Segments(MakeTcp(7, 500), TcpOffload(1000))[0], Segments(MakeTcp(507, 1000), TcpOffload(1000))[0]}) ==
        2);  // grows
  const Bytes udp = MakeIpv4({.payload = Counting(100)});
  CHECK(count({udp, udp}) == 2);
}

TEST_CASE("Fragments carry the packet in multiples of eight bytes", "[sleeve]") {
  const Bytes frame = MakeIpv4({.payload = Counting(1000)});
  const std::vector<Bytes> fragments = Fragments(frame, 600);
  REQUIRE(fragments.size() == 2);
  Bytes payload;
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const InnerIpv4 ip = ReadInnerIpv4(fragments[i]).value();
    CHECK(fragments[i].size() <= 614);
    CHECK(ip.fragment_offset == payload.size());
    CHECK(ip.more_fragments == (i == 0));
    CHECK_FALSE(ip.dont_fragment);
    CHECK(OnesComplementSum(ByteView(fragments[i]).subspan(14, 20)) == 0xffff);
    CHECK(Read16(fragments[i].data() + 18) == 0x1234);
    payload.insert(payload.end(), fragments[i].begin() + 34, fragments[i].end());
  }
  CHECK(payload == Counting(1000));
}

TEST_CASE("A fragment in the middle stays in the middle when it is cut again", "[sleeve]") {
  const std::vector<Bytes> fragments = Fragments(MakeIpv4({.payload = Counting(800), .fragment = 0x2000 | 100}), 500);
  REQUIRE(fragments.size() == 2);
  CHECK(ReadInnerIpv4(fragments[0])->fragment_offset == 800);
  CHECK(ReadInnerIpv4(fragments[1])->fragment_offset == 800 + 480);
  CHECK(ReadInnerIpv4(fragments[1])->more_fragments);
}

TEST_CASE("Options that are for the first fragment only are padding in the others", "[sleeve]") {
  // Record route (7), then one that is copied (0x88, stream id).
  const Bytes options = FromHex("07070400000000018804123401010100").value();
  const std::vector<Bytes> fragments = Fragments(MakeIpv4({.options = options, .payload = Counting(1000)}), 600);
  REQUIRE(fragments.size() == 2);
  CHECK(ToHex(ByteView(fragments[0]).subspan(34, 16)) == ToHex(options));
  CHECK(ToHex(ByteView(fragments[1]).subspan(34, 16)) == "01010101010101018804123401010100");
}

TEST_CASE("The answer to a packet that is too large names the MTU and quotes the packet", "[sleeve]") {
  const Bytes frame = MakeIpv4({.dont_fragment = true, .payload = Counting(2000)});
  const Bytes answer = FragmentationNeeded(frame, ReadInnerIpv4(frame).value(), 1438).value();
  CHECK(ToHex(ByteView(answer).first(14)) == kClientMac + kServerMac + "0800");
  const InnerIpv4 ip = ReadInnerIpv4(answer).value();
  CHECK(ip.protocol == 1);
  CHECK(ip.packet_size == 20 + 8 + 28);
  CHECK(Read32(answer.data() + 26) == kServerIp);
  CHECK(Read32(answer.data() + 30) == kClientIp);
  CHECK(int{answer[22]} == 64);
  CHECK(OnesComplementSum(ByteView(answer).subspan(14, 20)) == 0xffff);
  CHECK(OnesComplementSum(ByteView(answer).subspan(34)) == 0xffff);
  CHECK(ToHex(ByteView(answer).subspan(34, 2)) == "0304");
  CHECK(Read16(answer.data() + 40) == 1438);
  CHECK(ToHex(ByteView(answer).subspan(42)) == ToHex(ByteView(frame).subspan(14, 28)));
}

TEST_CASE("An IPv6 packet that is too large is answered with the MTU and as much of it as may be quoted", "[sleeve]") {
  const Bytes frame = MakeIpv6({.payload = Counting(2000)});
  const Bytes answer = PacketTooBig(frame, 1438).value();
  CHECK(answer.size() == 14 + 1280);
  CHECK(ToHex(ByteView(answer).first(14)) == kClientMac + kServerMac + "86dd");
  CHECK(ReadInnerIpv6(answer)->next_header == 58);
  CHECK(ReadInnerIpv6(answer)->packet_size == 1280);
  CHECK(ToHex(ByteView(answer).subspan(22, 32)) ==
        ToHex(ByteView(frame).subspan(38, 16)) + ToHex(ByteView(frame).subspan(22, 16)));
  CHECK(ToHex(ByteView(answer).subspan(54, 2)) == "0200");
  CHECK(Read32(answer.data() + 58) == 1438);
  CHECK(SlowSum(ByteView(answer).subspan(22)) ==
        static_cast<std::uint16_t>(~(1280 - 40 + 58)));  // with lengths and protocol
  CHECK(ToHex(ByteView(answer).subspan(62)) == ToHex(ByteView(frame).subspan(14, 1280 - 48)));
}

TEST_CASE("No IPv6 error is sent about errors, to groups, of an MTU that IPv6 does not know, or about what is cut off",
          "[sleeve]") {
  const Bytes echo = MakeIpv6({.next_header = 58, .payload = Bytes{128, 0, 0, 0}});
  CHECK(PacketTooBig(echo, 1280).has_value());
  CHECK_FALSE(PacketTooBig(echo, 1279).has_value());
  CHECK_FALSE(PacketTooBig(MakeIpv6({.next_header = 58, .payload = Bytes{2, 0, 0, 0}}), 1438).has_value());
  const Bytes behind_options = FromHex(
                                   "3a00010400000000"
                                   "01000000")
                                   .value();
  CHECK_FALSE(PacketTooBig(MakeIpv6({.next_header = 60, .payload = behind_options}), 1438).has_value());
  const Bytes first_fragment = FromHex(
                                   "3a00000100000001"
                                   "01000000")
                                   .value();
  CHECK_FALSE(PacketTooBig(MakeIpv6({.next_header = 44, .payload = first_fragment}), 1438).has_value());
  const Bytes later_fragment = FromHex(
                                   "3a00008900000001"
                                   "01000000")
                                   .value();
  CHECK(PacketTooBig(MakeIpv6({.next_header = 44, .payload = later_fragment}), 1438).has_value());
  CHECK(PacketTooBig(MakeIpv6({.next_header = 60, .payload = Bytes{58, 200}}), 1438).has_value());
  CHECK_FALSE(PacketTooBig(MakeIpv6({.payload = Counting(9), .destination = "ff020000000000000000000000000001"}), 1438)
                  .has_value());
  CHECK_FALSE(PacketTooBig(MakeIpv6({.payload = Counting(9), .source = std::string(32, '0')}), 1438).has_value());
  CHECK_FALSE(PacketTooBig(ByteView(echo).first(echo.size() - 1), 1438).has_value());
  CHECK_FALSE(PacketTooBig(MakeIpv4({.payload = Counting(9)}), 1438).has_value());
}

TEST_CASE("No error is sent about errors, later fragments, or to anybody but one host", "[sleeve]") {
  const auto answered = [](const Bytes& frame) {
    return FragmentationNeeded(frame, ReadInnerIpv4(frame).value(), 1438).has_value();
  };
  CHECK(answered(MakeIpv4({.protocol = 1, .payload = Bytes{8, 0, 0, 0}})));  // echo
  CHECK_FALSE(answered(MakeIpv4({.protocol = 1, .payload = Bytes{3, 4, 0, 0}})));
  CHECK_FALSE(answered(MakeIpv4({.payload = Counting(100), .fragment = 100})));
  CHECK_FALSE(answered(MakeIpv4({.payload = Counting(100), .to = "01005e000001"})));
  Bytes broadcast = MakeIpv4({.payload = Counting(100)});
  Write32(0xffffffff, broadcast.data() + 30);
  CHECK_FALSE(answered(broadcast));
}

}  // namespace
}  // namespace weave
