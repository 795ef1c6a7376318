#include "sleeve/sleeve_codec.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/sleeve/datagrams.h"
#include "test/support/catch.h"

namespace weave {
namespace {

const PeerName kA(0xa1);
const PeerName kB(0xb2);

// "source>destination frame" per frame, then the error if there is one.
std::vector<std::string> Read(ByteView bytes) {
  std::vector<std::string> read;
  SleeveFrameReader reader(bytes);
  while (const auto frame = reader.Next())
    read.push_back(absl::StrCat(frame->source.value(), ">", frame->destination.value(), " ", ToHex(frame->frame)));
  if (!reader.status().ok()) read.emplace_back(reader.status().message());
  return read;
}

TEST_CASE("Frames of a datagram are read as they were written", "[sleeve]") {
  Bytes bytes;
  AppendSleeveFrame({kA, kB, Bytes{1, 2, 3}}, bytes);
  AppendSleeveFrame({kB, kA, {}}, bytes);
  CHECK(Read(bytes) == std::vector<std::string>{"161>178 010203", "178>161 "});
}

TEST_CASE("Frames before a malformed one are read, then the reader says what is wrong", "[sleeve]") {
  const std::string good = "0000000000a10000000000b20001ee";
  struct Row {
    std::string tail;
    std::string error;
  };
  const Row rows[] = {
      {"00", "sleeve frame: 1 bytes, want at least a header of 14"},
      {"0000000000a10000000000b200", "sleeve frame: 13 bytes, want at least a header of 14"},
      {"0000000000a10000000000b20001", "sleeve frame: length 1, 0 bytes left"},
      {"0000000000a10000000000b2ffff0102", "sleeve frame: length 65535, 2 bytes left"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.tail);
    CHECK(Read(FromHex(good + row.tail).value()) == std::vector<std::string>{"161>178 ee", row.error});
  }
  CHECK(Read({}).empty());
}

TEST_CASE("A special frame is told by its header of zeros and its size", "[sleeve]") {
  struct Row {
    std::size_t size;
    SpecialFrame special;
  };
  const Row rows[] = {{0, SpecialFrame::kNone},        {13, SpecialFrame::kNone},
                      {14, SpecialFrame::kMtuTest},    {21, SpecialFrame::kMtuTest},
                      {22, SpecialFrame::kHeartbeat},  {23, SpecialFrame::kMtuTest},
                      {60000, SpecialFrame::kMtuTest}, {60001, SpecialFrame::kFragmentationTest},
                      {60002, SpecialFrame::kMtuTest}};
  for (const Row& row : rows) {
    CAPTURE(row.size);
    Bytes frame(row.size);
    CHECK(SpecialFrameOf(frame) == row.special);
    if (row.size < kEthernetHeaderSize) continue;
    frame[kEthernetHeaderSize - 1] = 1;
    CHECK(SpecialFrameOf(frame) == SpecialFrame::kNone);
  }
}

TEST_CASE("A datagram too short for a name has no sender", "[sleeve]") {
  CHECK_FALSE(DatagramSender(Bytes(5)).has_value());
  CHECK(DatagramSender(Bytes{0, 0, 0, 0, 1, 2}) == PeerName(0x102));
}

}  // namespace
}  // namespace weave
