#include "sleeve/sleeve_forwarder.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "overlay/fragmentation.h"
#include "overlay/mtu_search.h"
#include "sleeve/frame_offload.h"

namespace weave {

SleeveForwarder::Path::Path(PeerName self, const OpenSleevePath& open)
    : connection(open.connection),
      remote(open.remote),
      ordinary_sealer(self, open.key, open.outbound, /*dont_fragment=*/false),
      dont_fragment_sealer(self, open.key, open.outbound, /*dont_fragment=*/true),
      opener(open.key, /*sender_dialled=*/!open.outbound) {}

// ---- what the overlay says ----

void SleeveForwarder::OnCommand(const SleeveCommand& command) {
  Flush();  // routes of waiting datagrams are in the paths
  if (const auto* open = std::get_if<OpenSleevePath>(&command)) {
    auto path = std::make_unique<Path>(self_, *open);
    by_remote_[open->remote] = path.get();
    const bool added = paths_.emplace(open->connection, std::move(path)).second;
    CHECK(added) << open->connection;
  } else if (const auto* update = std::get_if<UpdateSleevePath>(&command)) {
    if (Path* path = Find(update->connection)) path->state = *update;
  } else if (const auto* close = std::get_if<CloseSleevePath>(&command)) {
    Close(close->connection);
  } else {
    SendSpecial(std::get<SendSpecialFrame>(command));
  }
}

SleeveForwarder::Path* SleeveForwarder::Find(ConnectionId connection) {
  const auto path = paths_.find(connection);
  return path == paths_.end() ? nullptr : path->second.get();
}

void SleeveForwarder::Close(ConnectionId connection) {
  const auto path = paths_.find(connection);
  if (path == paths_.end()) return;
  const auto by_remote = by_remote_.find(path->second->remote);
  if (by_remote != by_remote_.end() && by_remote->second == path->second.get()) by_remote_.erase(by_remote);
  paths_.erase(path);
}

void SleeveForwarder::SendSpecial(const SendSpecialFrame& special) {
  Path* path = Find(special.connection);
  if (path == nullptr || !path->state.has_value()) return;
  FrameSealer& sealer = special.dont_fragment ? path->dont_fragment_sealer : path->ordinary_sealer;
  const std::size_t size = sealer.header_size() + kFrameHeaderSize + special.frame_size;
  CHECK(size <= kMaxDatagramPayloadSize) << size;
  const MutableBytes datagram = batch_.Begin(path->state->route, special.dont_fragment, size);
  std::uint8_t* const header = datagram.data() + sealer.header_size();
  WriteFrameHeader(self_, path->remote, special.frame_size, header);
  std::fill_n(header + kFrameHeaderSize, special.frame_size, std::uint8_t{0});
  if (special.frame_size == kHeartbeatSize)
    WriteBigEndian(special.uid, 8, header + kFrameHeaderSize + kEthernetHeaderSize);
  sealer.Seal(datagram);
  ++counters_.datagrams_sent;
  Flush();
}

// ---- what arrives ----

void SleeveForwarder::OnCaptured(MonotonicTime now, const Frame& frame) {
  ++counters_.frames_captured;
  if (!IsConsistent(frame)) {
    ++counters_.bad_frames;
    return;
  }
  router_.OnCaptured(now, frame, *this);
}

void SleeveForwarder::OnDatagram(MonotonicTime now, const IpAddress& local, const SocketAddress& remote,
                                 ByteView datagram) {
  ++counters_.datagrams_received;
  const std::optional<PeerName> sender = DatagramSender(datagram);
  if (!sender.has_value()) {
    ++counters_.malformed;
    return;
  }
  const auto path = by_remote_.find(*sender);
  if (path == by_remote_.end()) {
    ++counters_.unknown_senders;
    return;
  }
  const FrameOpener::Result opened = path->second->opener.Open(datagram);
  switch (opened.outcome) {
    case FrameOpener::Outcome::kOpened:
      break;
    case FrameOpener::Outcome::kMalformed:
      ++counters_.malformed;
      return;
    case FrameOpener::Outcome::kForged:
      ++counters_.forged;
      return;
    case FrameOpener::Outcome::kReplayed:
      ++counters_.replayed;
      return;
  }
  SleeveFrameReader reader(opened.frames);
  while (const std::optional<SleeveFrame> frame = reader.Next()) {
    if (frame->frame.size() < kEthernetHeaderSize) {
      ++counters_.bad_frames;
    } else if (SpecialFrameOf(frame->frame) != SpecialFrame::kNone) {
      OnSpecial(*path->second, local, remote, *frame);
    } else {
      ++counters_.frames_received;
      router_.OnForwarded(now, *sender, frame->source, frame->destination, {frame->frame, {}}, *this);
    }
  }
  if (!reader.status().ok()) ++counters_.malformed;
}

void SleeveForwarder::OnSpecial(Path& path, const IpAddress& local, const SocketAddress& remote,
                                const SleeveFrame& frame) {
  if (frame.source != path.remote || frame.destination != self_) {
    ++counters_.bad_frames;
    return;
  }
  SpecialFrameReceived special;
  special.connection = path.connection;
  special.local = local;
  special.remote = remote;
  special.kind = SpecialFrameOf(frame.frame);
  special.frame_size = frame.frame.size();
  if (special.kind == SpecialFrame::kHeartbeat) special.uid = HeartbeatUid(frame.frame);
  io_.OnSpecialFrame(special);
}

// ---- what leaves ----

void SleeveForwarder::Flush() {
  SealLast();
  if (!batch_.empty()) {
    io_.Send(batch_);
    batch_.Clear();
  }
  if (!injected_.empty()) {
    io_.Inject(injected_);
    injected_.Clear();
  }
}

void SleeveForwarder::Deliver(const Frame& frame) {
  if (kernel_ != nullptr) {
    ++counters_.frames_injected;
    kernel_->Inject(frame);
    return;
  }
  if (!injected_.Fits(frame.bytes.size())) {
    io_.Inject(injected_);
    injected_.Clear();
  }
  ++counters_.frames_injected;
  injected_.Add(frame);
}

void SleeveForwarder::Send(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
                           bool broadcast) {
  for (const Way way : hop.ways) {
    FrameCarrier* carrier = way == Way::kSleeve ? static_cast<FrameCarrier*>(this) : kernel_;
    if (carrier != nullptr && carrier->Carry(hop, source, destination, frame, broadcast)) return;
  }
  ++counters_.no_path;
}

bool SleeveForwarder::Carry(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
                            bool broadcast) {
  Path* path = Find(hop.connection);
  if (path == nullptr || !path->state.has_value()) return false;
  SendTo({*path, source, destination}, frame, broadcast);
  return true;
}

// IPv6 is never cut on the way. Where the kernel's fragments pass it still goes, as with 2.8; where they do not, the
// sender hears of it, unless the path is too small for any IPv6.
bool SleeveForwarder::IsForItsSenderToCut(const Path& path, const Frame& frame, const std::optional<InnerIpv4>& ip) {
  if (ip.has_value()) return ip->dont_fragment;
  return !path.state->fragments_pass && MtuOf(path) >= kMinIpv6Mtu && ReadInnerIpv6(frame.bytes).has_value();
}

void SleeveForwarder::SendTo(const Leg& leg, const Frame& frame, bool broadcast) {
  const std::optional<InnerIpv4> ip = ReadInnerIpv4(frame.bytes);
  const bool whole = frame.offload.segments == FrameOffload::Segments::kOne;
  const std::size_t largest = whole ? frame.bytes.size() : FrameSegmenter(frame).largest_size();
  const bool fits = largest <= MtuOf(leg.path) + kEthernetHeaderSize;
  if (!fits && IsForItsSenderToCut(leg.path, frame, ip)) return Refuse(leg, frame, broadcast);
  if (!whole && fits) return SendSegments(leg, frame);
  if (ip.has_value() && ip->dont_fragment) return SendWhole(leg, frame, /*dont_fragment=*/true);
  if (!whole) {
    // Segments that are too large one by one are cut like any other frame.
    FrameSegmenter segmenter(frame);
    Bytes segment;
    while (!segmenter.done()) {
      segment.resize(segmenter.next_size());
      segmenter.WriteNext(MutableBytes(segment));
      SendTo(leg, {segment, {}}, broadcast);
    }
    return;
  }
  if ((leg.path.state->fragments_pass || !ip.has_value()) && frame.bytes.size() <= RoomOf(leg.path))
    return SendWhole(leg, frame, /*dont_fragment=*/false);
  if (fits) return SendWhole(leg, frame, /*dont_fragment=*/true);
  if (ip.has_value()) return SendFragments(leg, frame, *ip);
  ++counters_.too_big;
}

// The largest frame a datagram can hold at all, whether the path carries it whole or not.
std::size_t SleeveForwarder::RoomOf(const Path& path) {
  return kMaxDatagramPayloadSize - path.ordinary_sealer.header_size() - kFrameHeaderSize;
}

std::size_t SleeveForwarder::MtuOf(const Path& path) {
  return std::min(path.state->mtu, RoomOf(path) - kEthernetHeaderSize);
}

void SleeveForwarder::SendWhole(const Leg& leg, const Frame& frame, bool dont_fragment) {
  const MutableBytes out = AddFrame(leg, dont_fragment, frame.bytes.size());
  std::copy(frame.bytes.begin(), frame.bytes.end(), out.begin());
  CompleteChecksum(frame.offload, out);
}

void SleeveForwarder::SendSegments(const Leg& leg, const Frame& frame) {
  FrameSegmenter segmenter(frame);
  while (!segmenter.done()) segmenter.WriteNext(AddFrame(leg, /*dont_fragment=*/true, segmenter.next_size()));
}

void SleeveForwarder::SendFragments(const Leg& leg, const Frame& frame, const InnerIpv4& ip) {
  const std::size_t mtu = MtuOf(leg.path);
  if (mtu < ip.header_size + 8 || ip.packet_size == ip.header_size) {
    ++counters_.too_big;
    return;
  }
  completed_.assign(frame.bytes.begin(), frame.bytes.end());
  CompleteChecksum(frame.offload, MutableBytes(completed_));
  Ipv4Fragmenter fragmenter(completed_, ip, mtu);
  while (!fragmenter.done()) fragmenter.WriteNext(AddFrame(leg, /*dont_fragment=*/true, fragmenter.next_size()));
}

void SleeveForwarder::Refuse(const Leg& leg, const Frame& frame, bool broadcast) {
  if (broadcast) {
    ++counters_.too_big_broadcasts;
    return;
  }
  ++counters_.too_big;
  const std::optional<Bytes> answer = AnswerTooLarge(frame.bytes, MtuOf(leg.path));
  if (!answer.has_value()) return;
  ++counters_.icmp_sent;
  router_.Return(leg.destination, leg.source, {*answer, {}}, *this);
}

// Frames for the same neighbour share a datagram as long as it fits the path.
MutableBytes SleeveForwarder::AddFrame(const Leg& leg, bool dont_fragment, std::size_t size) {
  ++counters_.frames_sent;
  const std::size_t with_header = kFrameHeaderSize + size;
  const bool joins = open_.path == &leg.path && open_.dont_fragment == dont_fragment &&
                     batch_.last().size() + with_header <= leg.path.state->max_payload_size;
  MutableBytes room;
  if (joins && batch_.Fits(with_header)) {
    room = batch_.Extend(with_header);
  } else {
    SealLast();
    const std::size_t header_size = leg.path.ordinary_sealer.header_size();
    if (!batch_.Fits(header_size + with_header)) {
      io_.Send(batch_);
      batch_.Clear();
    }
    room = batch_.Begin(leg.path.state->route, dont_fragment, header_size + with_header).subspan(header_size);
    open_ = {&leg.path, dont_fragment};
  }
  WriteFrameHeader(leg.source, leg.destination, size, room.data());
  return room.subspan(kFrameHeaderSize);
}

void SleeveForwarder::SealLast() {
  if (open_.path == nullptr) return;
  (open_.dont_fragment ? open_.path->dont_fragment_sealer : open_.path->ordinary_sealer).Seal(batch_.last());
  ++counters_.datagrams_sent;
  open_ = {};
}

}  // namespace weave
