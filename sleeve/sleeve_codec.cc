#include "sleeve/sleeve_codec.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {
namespace {

std::uint64_t ReadBigEndian(ByteView bytes) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8 | byte;
  return value;
}

void AppendBigEndian(std::uint64_t value, int size, Bytes& out) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

void AppendFrameHeader(PeerName source, PeerName destination, std::size_t size, Bytes& out) {
  CHECK(size <= kMaxFrameSize) << size;
  AppendSenderName(source, out);
  AppendSenderName(destination, out);
  AppendBigEndian(size, 2, out);
}

}  // namespace

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

void AppendSenderName(PeerName sender, Bytes& out) { AppendBigEndian(sender.value(), kSenderNameSize, out); }

void AppendSleeveFrame(const SleeveFrame& frame, Bytes& out) {
  AppendFrameHeader(frame.source, frame.destination, frame.frame.size(), out);
  out.insert(out.end(), frame.frame.begin(), frame.frame.end());
}

void AppendHeartbeat(PeerName source, PeerName destination, std::uint64_t uid, Bytes& out) {
  AppendFrameHeader(source, destination, kHeartbeatSize, out);
  out.resize(out.size() + kEthernetHeaderSize);
  AppendBigEndian(uid, 8, out);
}

void AppendZeroFrame(PeerName source, PeerName destination, std::size_t size, Bytes& out) {
  AppendFrameHeader(source, destination, size, out);
  out.resize(out.size() + size);
}

}  // namespace weave
