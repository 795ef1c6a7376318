#include "sleeve/sleeve_codec.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {

SpecialFrame SpecialFrameOf(ByteView frame) {
  if (frame.size() < kEthernetHeaderSize) return SpecialFrame::kNone;
  const ByteView header = frame.first(kEthernetHeaderSize);
  if (std::any_of(header.begin(), header.end(), [](std::uint8_t byte) { return byte != 0; }))
    return SpecialFrame::kNone;
  switch (frame.size()) {
    case kHeartbeatSize:
      return SpecialFrame::kHeartbeat;
    case kFragmentationTestSize:
      return SpecialFrame::kFragmentationTest;
    default:
      return SpecialFrame::kMtuTest;
  }
}

std::uint64_t HeartbeatUid(ByteView frame) {
  CHECK(frame.size() == kHeartbeatSize) << frame.size();
  return ReadBigEndian(frame.subspan(kEthernetHeaderSize));
}

std::optional<PeerName> DatagramSender(ByteView datagram) {
  if (datagram.size() < kSenderNameSize) return std::nullopt;
  return PeerName(ReadBigEndian(datagram.first(kSenderNameSize)));
}

std::optional<SleeveFrame> SleeveFrameReader::Next() {
  if (rest_.empty()) return std::nullopt;
  if (rest_.size() < kFrameHeaderSize) {
    status_ = absl::InvalidArgumentError(
        absl::StrCat("sleeve frame: ", rest_.size(), " bytes, want at least a header of ", kFrameHeaderSize));
    rest_ = {};
    return std::nullopt;
  }
  const std::size_t size = ReadBigEndian(rest_.subspan(2 * kSenderNameSize, 2));
  const ByteView body = rest_.subspan(kFrameHeaderSize);
  if (size > body.size()) {
    status_ = absl::InvalidArgumentError(absl::StrCat("sleeve frame: length ", size, ", ", body.size(), " bytes left"));
    rest_ = {};
    return std::nullopt;
  }
  const SleeveFrame frame = {PeerName(ReadBigEndian(rest_.first(kSenderNameSize))),
                             PeerName(ReadBigEndian(rest_.subspan(kSenderNameSize, kSenderNameSize))),
                             body.first(size)};
  rest_ = body.subspan(size);
  return frame;
}

void WriteFrameHeader(PeerName source, PeerName destination, std::size_t frame_size, std::uint8_t* out) {
  CHECK(frame_size <= kMaxFrameSize) << frame_size;
  WriteBigEndian(source.value(), kSenderNameSize, out);
  WriteBigEndian(destination.value(), kSenderNameSize, out + kSenderNameSize);
  WriteBigEndian(frame_size, 2, out + 2 * kSenderNameSize);
}

}  // namespace weave
