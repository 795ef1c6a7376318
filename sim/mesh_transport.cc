#include "sim/mesh_transport.h"

#include <utility>
#include <variant>

namespace weave::sim {
namespace {

constexpr std::uint32_t kFirstAddress = 10U << 24 | 128U << 16 | 1;
constexpr std::uint16_t kMeshPort = 6783;

SocketAddress EphemeralAddressOf(HostId host, ConnectionId end) {
  return {MeshAddressOf(host).ip, static_cast<std::uint16_t>(32768 + end % 28000)};
}

}  // namespace

SocketAddress MeshAddressOf(HostId host) { return {IpAddress::V4(kFirstAddress + host), kMeshPort}; }

std::optional<HostId> HostOf(const IpAddress& address) {
  if (!address.IsV4() || address.v4() < kFirstAddress) return std::nullopt;
  return address.v4() - kFirstAddress;
}

std::optional<HostId> HostAt(const SocketAddress& address) {
  return address.port == kMeshPort ? HostOf(address.ip) : std::nullopt;
}

void MeshTransport::Start() {
  transport_.Listen(host_, [this](const TransportEvent& event) { OnEvent(event); });
}

void MeshTransport::Crash() {
  ++incarnation_;
  streams_.clear();
  by_end_.clear();
  transport_.Crash(host_);
}

void MeshTransport::Perform(MeshOutput& output) {
  for (const MeshOutput::Dial& dial : output.dials) Dial(dial);
  for (MeshOutput::Send& send : output.sends) {
    const auto stream = streams_.find(send.connection);
    if (stream == streams_.end()) continue;
    sent_size_ += send.bytes.size();
    Bytes& unsent = stream->second.unsent;
    if (unsent.empty())
      unsent = std::move(send.bytes);
    else
      unsent.insert(unsent.end(), send.bytes.begin(), send.bytes.end());
    Flush(send.connection, stream->second);
  }
  for (const weave::ConnectionId id : output.closes) Close(id);
  for (const weave::ConnectionId id : output.leaves) Close(id);  // not sure to be any better
}

void MeshTransport::Dial(const MeshOutput::Dial& dial) {
  const std::optional<HostId> host = HostAt(dial.address);
  if (!host.has_value()) {
    Later([this, id = dial.connection] { observer_.OnClosed(id, absl::UnavailableError("no route to host")); });
    return;
  }
  const ConnectionId end = transport_.Connect(host_, *host);
  streams_[dial.connection] = {end, dial.address, {}};
  by_end_[end] = dial.connection;
}

void MeshTransport::Flush(weave::ConnectionId id, Stream& stream) {
  const std::size_t taken = transport_.Send(stream.end, stream.unsent);
  if (taken < stream.unsent.size()) {
    stream.unsent.erase(stream.unsent.begin(), stream.unsent.begin() + static_cast<std::ptrdiff_t>(taken));
    return;
  }
  stream.unsent = Bytes();
  Later([this, id] {
    if (streams_.contains(id)) observer_.OnWritable(id);
  });
}

void MeshTransport::Close(weave::ConnectionId id) {
  const auto stream = streams_.find(id);
  if (stream == streams_.end()) return;
  // As with SO_LINGER 0: the other side sees a reset, and what was not sent is lost.
  transport_.Abort(stream->second.end);
  by_end_.erase(stream->second.end);
  streams_.erase(stream);
}

void MeshTransport::Later(absl::AnyInvocable<void()> tell) {
  queue_.AfterInBackground(absl::ZeroDuration(), [this, incarnation = incarnation_, tell = std::move(tell)]() mutable {
    if (incarnation == incarnation_) tell();
  });
}

void MeshTransport::OnEvent(const TransportEvent& event) {
  if (const auto* accepted = std::get_if<Accepted>(&event)) {
    const weave::ConnectionId id = accepted->connection;
    streams_[id].end = accepted->connection;
    by_end_[accepted->connection] = id;
    return observer_.OnAccepted(id, MeshAddressOf(host_), EphemeralAddressOf(accepted->from, accepted->connection));
  }
  const auto id_of = [this](ConnectionId end) -> weave::ConnectionId {
    const auto id = by_end_.find(end);
    return id == by_end_.end() ? 0 : id->second;
  };
  if (const auto* connected = std::get_if<Connected>(&event)) {
    if (const weave::ConnectionId id = id_of(connected->connection); id != 0)
      observer_.OnConnected(id, EphemeralAddressOf(host_, connected->connection), streams_[id].dialled);
  } else if (const auto* received = std::get_if<Received>(&event)) {
    if (const weave::ConnectionId id = id_of(received->connection); id != 0) observer_.OnReceived(id, received->bytes);
  } else if (const auto* writable = std::get_if<Writable>(&event)) {
    const weave::ConnectionId id = id_of(writable->connection);
    if (const auto stream = streams_.find(id); stream != streams_.end()) Flush(id, stream->second);
  } else if (const auto* closed = std::get_if<Closed>(&event)) {
    const weave::ConnectionId id = id_of(closed->connection);
    if (id == 0) return;
    by_end_.erase(closed->connection);
    streams_.erase(id);
    observer_.OnClosed(id, closed->status.ok() ? absl::UnavailableError("closed by the other side") : closed->status);
  }
}

}  // namespace weave::sim
