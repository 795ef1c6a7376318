// Datagrams and frames as tests of sleeve write them, and the forwarder's other side.
#pragma once

#include <utility>
#include <vector>

#include "sleeve/frame_crypto.h"
#include "sleeve/sleeve_codec.h"
#include "sleeve/sleeve_forwarder.h"

namespace weave {

inline void AppendSleeveFrame(const SleeveFrame& frame, Bytes& out) {
  const std::size_t before = out.size();
  out.resize(before + kFrameHeaderSize);
  WriteFrameHeader(frame.source, frame.destination, frame.frame.size(), out.data() + before);
  out.insert(out.end(), frame.frame.begin(), frame.frame.end());
}

// `frames` as one datagram.
inline Bytes SealDatagram(FrameSealer& sealer, ByteView frames) {
  Bytes datagram(sealer.header_size());
  datagram.insert(datagram.end(), frames.begin(), frames.end());
  sealer.Seal(absl::MakeSpan(datagram));
  return datagram;
}

// Keeps what a forwarder does.
struct RecordingIo final : SleeveIo {
  struct Sent {
    DatagramRoute route;
    bool dont_fragment = false;
    Bytes payload;
  };
  struct Injected {
    Bytes bytes;
    FrameOffload offload;
  };

  void Send(DatagramBatch& batch) override {
    for (const DatagramBatch::Datagram& datagram : batch.datagrams()) {
      const absl::Span<const std::uint8_t> bytes = batch.BytesOf(datagram);
      sent.push_back({*datagram.route, datagram.dont_fragment, Bytes(bytes.begin(), bytes.end())});
    }
  }
  void Inject(const FrameBatch& batch) override {
    for (const Frame& frame : batch.frames())
      injected.push_back({Bytes(frame.bytes.begin(), frame.bytes.end()), frame.offload});
  }
  void OnSpecialFrame(const SpecialFrameReceived& frame) override { special.push_back(frame); }

  std::vector<Sent> sent;
  std::vector<Injected> injected;
  std::vector<SpecialFrameReceived> special;
};

}  // namespace weave
