// One TCP connection of ours: its protocol, what it still owes the other end, and its deadlines. What a message means
// is the router's business (mesh/mesh_router.h).
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/socket_address.h"
#include "base/time.h"
#include "mesh/overlay.h"
#include "mesh/protocol_stream.h"
#include "mesh/send_queue.h"

namespace weave {

class Connection {
 public:
  struct Config {
    ConnectionId id = 0;
    SocketAddress local;
    SocketAddress remote;
    bool accept_new_peer = true;  // false: dialled because others told of it; the name must be known already
    PeerName self;
    ProtocolStream::Options protocol;
  };

  // The transport has just connected.
  Connection(Config config, Now now);

  ConnectionId id() const { return config_.id; }
  const SocketAddress& local() const { return config_.local; }
  const SocketAddress& remote() const { return config_.remote; }
  bool dialled() const { return config_.protocol.dialled; }
  bool accept_new_peer() const { return config_.accept_new_peer; }
  bool trusted_by_us() const { return config_.protocol.features.trusted; }

  // ConnID of one end xor that of the other. Known once the introduction is done.
  std::uint64_t uid() const { return config_.protocol.features.connection_id ^ stream_.remote().connection_id; }
  // Frames may travel in clear: both ends trust each other's address. Known once the introduction is done.
  bool trusted() const { return trusted_by_us() && stream_.remote().trusted; }

  ProtocolStream& stream() { return stream_; }
  const ProtocolStream& stream() const { return stream_; }
  SendQueue& queue() { return queue_; }

  // The other end is who it says and no better connection to it exists: it is one of ours now.
  bool added() const { return added_; }
  void SetAdded(Now now);
  bool established() const { return established_; }
  void SetEstablished() { established_ = true; }

  // Both ends have the channel "topology inventory".
  bool has_inventory() const { return config_.protocol.features.inventory && stream_.remote().inventory; }
  // Both ends compare their states of `channel` instead of telling them.
  bool Compares(absl::string_view channel) const;
  // We have sent an offer there to which no answer came yet.
  bool offered() const { return offered_; }
  void SetOffered(bool offered) { offered_ = offered; }

  // ---- sending: at most one chunk is with the transport ----

  // The transport was given something.
  void OnHandedOver() { transport_is_busy_ = true; }
  // The transport has passed on everything it was given.
  void OnWritable() { transport_is_busy_ = false; }
  // Messages for the transport, as they travel, counted in `count`; empty when there is nothing to send or the
  // transport is busy.
  absl::StatusOr<Bytes> TakeChunk(std::uint64_t& count);
  // The same before we close, whatever was held back.
  absl::StatusOr<Bytes> TakeLastChunk(std::uint64_t& count);

  // Lets the other end speak first on `channel`, for a while.
  void ListenOn(absl::string_view channel, Now now);

  // ---- time ----

  void OnProgress(Now now) { last_received_ = now.monotonic; }
  MonotonicTime NextDeadline() const;
  // DeadlineExceeded when the other end was silent for too long. Queues a heartbeat when it is time.
  absl::Status OnTimer(Now now);

 private:
  const Config config_;
  ProtocolStream stream_;
  SendQueue queue_;
  bool added_ = false;
  bool established_ = false;
  bool offered_ = false;
  bool transport_is_busy_ = false;
  const MonotonicTime opened_;
  MonotonicTime last_received_;
  std::optional<MonotonicTime> heartbeat_at_;
  std::optional<MonotonicTime> listen_until_;
};

}  // namespace weave
