// The sleeve data path of a peer: frames of the local bridge become datagrams to neighbours, datagrams become frames or
// go on to other neighbours (spec/overlay.md sections 2.7, 2.8 and 5). It owns what numbers and seals datagrams and
// what tells replayed ones, so special frames pass through it too.
//
// Where there is a kernel's datapath too, they share the packet router, the local bridge is the datapath's, and each
// gives the other what it cannot carry itself.
//
// A pure object: captured frames, datagrams and the overlay's commands in, batches of datagrams and frames out through
// SleeveIo. The daemon drives it on a thread of its own, the simulator in its queue.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "overlay/checksum.h"
#include "overlay/frame_carrier.h"
#include "overlay/packet_router.h"
#include "sleeve/datagram_batch.h"
#include "sleeve/frame_batch.h"
#include "sleeve/frame_crypto.h"
#include "sleeve/sleeve_command.h"

namespace weave {

// What the forwarder has done. Called back during its calls; must not call it.
class SleeveIo {
 public:
  virtual ~SleeveIo() = default;

  // These leave now, in order; what cannot is lost. The batch is cleared afterwards.
  virtual void Send(DatagramBatch& batch) = 0;
  // These go into the local bridge.
  virtual void Inject(const FrameBatch& batch) = 0;
  virtual void OnSpecialFrame(const SpecialFrameReceived& frame) = 0;
};

// Since the start. What is not said to be sent or received was dropped.
struct SleeveCounters {
  std::uint64_t datagrams_received = 0;
  std::uint64_t datagrams_sent = 0;
  std::uint64_t frames_captured = 0;  // as the kernel gives them: several segments may be in one
  std::uint64_t frames_received = 0;  // for us or to be relayed, without special ones
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_injected = 0;
  std::uint64_t icmp_sent = 0;  // "fragmentation needed", "packet too big"
  // Datagrams:
  std::uint64_t unknown_senders = 0;  // named no peer with a confirmed connection
  std::uint64_t malformed = 0;        // too short, or something else behind the last frame
  std::uint64_t forged = 0;           // did not open
  std::uint64_t replayed = 0;         // seen before, or too old to tell
  // Frames:
  std::uint64_t bad_frames = 0;  // without an Ethernet header, special ones between two other peers, senseless offloads
  std::uint64_t no_path = 0;     // for a neighbour whose address is not known (yet)
  std::uint64_t too_big_broadcasts = 0;  // not to be cut
  std::uint64_t too_big = 0;             // not to be cut: their sender was told where it may be; or beyond all limits
};

class SleeveForwarder final : public FrameCarrier, private FrameSink {
 public:
  // Both outlive the forwarder.
  SleeveForwarder(PeerName self, PacketRouter& router, SleeveIo& io) : self_(self), io_(io), router_(router) {}
  SleeveForwarder(const SleeveForwarder&) = delete;
  SleeveForwarder& operator=(const SleeveForwarder&) = delete;

  // The kernel's datapath, which outlives the forwarder; null: none.
  void SetKernel(BridgeCarrier* kernel) { kernel_ = kernel; }

  void OnCommand(const SleeveCommand& command);

  // From the local bridge. What comes of it waits for Flush(), as for the next two.
  void OnCaptured(MonotonicTime now, const Frame& frame);
  // Anything may be in it.
  void OnDatagram(MonotonicTime now, const IpAddress& local, const SocketAddress& remote, ByteView datagram);
  // Everything that waits leaves. After each turn in which something came, so that little waits together.
  void Flush();

  // FrameCarrier; waits for Flush() too. A frame that is lost on the way counts as carried.
  bool Carry(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
             bool broadcast) override;

  const SleeveCounters& counters() const { return counters_; }

 private:
  struct Path {
    Path(PeerName self, const OpenSleevePath& open);

    const ConnectionId connection;
    const PeerName remote;
    FrameSealer ordinary_sealer;
    FrameSealer dont_fragment_sealer;
    FrameOpener opener;
    std::optional<UpdateSleevePath> state;  // none: nothing can be sent
  };

  // The last datagram of the batch, while frames can be added to it.
  struct Open {
    Path* path = nullptr;
    bool dont_fragment = false;
  };

  // What is being sent where.
  struct Leg {
    Path& path;
    PeerName source;
    PeerName destination;
  };

  Path* Find(ConnectionId connection);
  void Close(ConnectionId connection);
  void SendSpecial(const SendSpecialFrame& special);
  void OnSpecial(Path& path, const IpAddress& local, const SocketAddress& remote, const SleeveFrame& frame);

  void SendTo(const Leg& leg, const Frame& frame, bool broadcast);
  static bool IsForItsSenderToCut(const Path& path, const Frame& frame, const std::optional<InnerIpv4>& ip);
  static std::size_t RoomOf(const Path& path);
  static std::size_t MtuOf(const Path& path);
  void SendSegments(const Leg& leg, const Frame& frame);
  void SendWhole(const Leg& leg, const Frame& frame, bool dont_fragment);
  void SendFragments(const Leg& leg, const Frame& frame, const InnerIpv4& ip);
  void Refuse(const Leg& leg, const Frame& frame, bool broadcast);
  MutableBytes AddFrame(const Leg& leg, bool dont_fragment, std::size_t size);
  void SealLast();

  // ---- FrameSink ----
  void Deliver(const Frame& frame) override;
  void Send(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
            bool broadcast) override;

  const PeerName self_;
  SleeveIo& io_;
  PacketRouter& router_;
  BridgeCarrier* kernel_ = nullptr;
  absl::btree_map<ConnectionId, std::unique_ptr<Path>> paths_;
  absl::btree_map<PeerName, Path*> by_remote_;  // the path opened last
  DatagramBatch batch_;
  Open open_;
  FrameBatch injected_;
  Bytes completed_;  // a frame whose checksum had to be completed before it was cut
  SleeveCounters counters_;
};

}  // namespace weave
