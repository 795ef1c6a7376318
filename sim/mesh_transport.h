// Carries the mesh of one simulated host over the simulated TCP: effects of MeshRouter in, its events out. Hosts have
// addresses here, as they have in the world.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/socket_address.h"
#include "mesh/mesh_output.h"
#include "sim/event_queue.h"
#include "sim/transport.h"

namespace weave::sim {

// 10.128.0.0 + id: where the peer of a host listens.
SocketAddress MeshAddressOf(HostId host);
std::optional<HostId> HostOf(const IpAddress& address);
std::optional<HostId> HostAt(const SocketAddress& address);

// What the mesh hears; never called from within a call of MeshTransport.
class MeshTransportObserver {
 public:
  virtual ~MeshTransportObserver() = default;
  virtual void OnConnected(weave::ConnectionId connection, const SocketAddress& local, const SocketAddress& remote) = 0;
  virtual void OnAccepted(weave::ConnectionId connection, const SocketAddress& local, const SocketAddress& remote) = 0;
  virtual void OnReceived(weave::ConnectionId connection, ByteView bytes) = 0;
  virtual void OnWritable(weave::ConnectionId connection) = 0;
  virtual void OnClosed(weave::ConnectionId connection, const absl::Status& reason) = 0;
};

class MeshTransport {
 public:
  // References outlive the transport.
  MeshTransport(HostId host, EventQueue& queue, Transport& transport, MeshTransportObserver& observer)
      : host_(host), queue_(queue), transport_(transport), observer_(observer) {}

  // The process begins; connections are accepted from now on.
  void Start();
  // The process is gone, and all its connections with it.
  void Crash();

  void Perform(MeshOutput& output);

  std::uint64_t sent_size() const { return sent_size_; }  // bytes since the host exists

 private:
  struct Stream {
    ConnectionId end = 0;   // of the transport
    SocketAddress dialled;  // of connections we dialled
    Bytes unsent;
  };

  void OnEvent(const TransportEvent& event);
  void Dial(const MeshOutput::Dial& dial);
  void Flush(weave::ConnectionId id, Stream& stream);
  void Close(weave::ConnectionId id);
  // Runs `tell` in an event of its own, unless the process has ended by then.
  void Later(absl::AnyInvocable<void()> tell);

  const HostId host_;
  EventQueue& queue_;
  Transport& transport_;
  MeshTransportObserver& observer_;
  std::uint64_t incarnation_ = 0;
  absl::btree_map<weave::ConnectionId, Stream> streams_;
  absl::btree_map<ConnectionId, weave::ConnectionId> by_end_;
  std::uint64_t sent_size_ = 0;
};

}  // namespace weave::sim
