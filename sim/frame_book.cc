#include "sim/frame_book.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "overlay/frame.h"

namespace weave::sim {
namespace {

constexpr std::uint64_t kEtherType = 0x88b5;  // for experiments: IEEE 802
constexpr std::size_t kFrameSize = 60;        // bytes, the least of Ethernet

}  // namespace

Bytes FrameBook::Write(HostId from, const MacAddress& source, const MacAddress& destination, bool answer) {
  stories_.push_back({from, source, destination, answer});
  Bytes frame(kFrameSize);
  std::copy(destination.bytes().begin(), destination.bytes().end(), frame.begin());
  std::copy(source.bytes().begin(), source.bytes().end(), frame.begin() + 6);
  WriteBigEndian(kEtherType, 2, frame.data() + 12);
  WriteBigEndian(last(), 8, frame.data() + kEthernetHeaderSize);
  trace_.Note(from, "frame", last(), source.ToString(), destination.ToString());
  return frame;
}

std::optional<FrameId> FrameBook::Read(ByteView frame) const {
  if (frame.size() != kFrameSize || ReadBigEndian(frame.subspan(12, 2)) != kEtherType) return std::nullopt;
  return ReadBigEndian(frame.subspan(kEthernetHeaderSize, 8));
}

void FrameBook::OnReceived(HostId host, const MacAddress& nic, ByteView frame) {
  const std::optional<FrameId> id = Read(frame);
  if (!id.has_value()) return;
  trace_.Note(host, "frame received", *id, nic.ToString());
  ++stories_[*id].received[nic];
  if (on_receipt_) on_receipt_(host, nic, stories_[*id]);
}

void FrameBook::OnDelivered(HostId, ByteView frame) {
  if (const std::optional<FrameId> id = Read(frame)) ++stories_[*id].delivered;
}

bool FrameBook::OnTunnelled(HostId host, ByteView frame, bool clear) {
  const std::optional<FrameId> id = Read(frame);
  if (!id.has_value()) return true;
  trace_.Note(host, "frame tunnelled", *id, clear);
  if (clear && sealed_) trace_.Violation(host, absl::StrCat("frame ", *id, " leaves in clear"));
  if (++stories_[*id].tunnelled <= kMaxTunnelled) return true;
  trace_.Violation(host, absl::StrCat("frame ", *id, " goes more than ", kMaxTunnelled, " ways"));
  return false;
}

void FrameBook::OnSeenByPeer(HostId host, ByteView frame) {
  const std::optional<FrameId> id = Read(frame);
  if (!id.has_value()) return;
  trace_.Note(host, "frame seen by the peer", *id);
  ++stories_[*id].seen_by_peers;
}

}  // namespace weave::sim
