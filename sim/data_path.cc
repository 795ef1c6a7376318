#include "sim/data_path.h"

#include <utility>

#include "sim/mesh_transport.h"

namespace weave::sim {

void SimDataPath::Start(PeerName self) {
  SleeveIo& io = *this;
  forwarder_.reset();
  router_ = std::make_unique<PacketRouter>();
  forwarder_ = std::make_unique<SleeveForwarder>(self, *router_, io);
  datagrams_.Listen(id_, {[this](const SocketAddress& from, ByteView bytes) { OnDatagram(from, bytes); },
                          [this](const SocketAddress& to, std::size_t path_mtu_bytes) {
                            on_notice_(DatagramTooBig{to, path_mtu_bytes});
                          }});
}

void SimDataPath::Crash() {
  datagrams_.Crash(id_);
  forwarder_.reset();
  router_.reset();
}

void SimDataPath::Perform(NetworkOutput& output) {
  if (output.forwarding != nullptr) router_->SetForwarding(std::move(output.forwarding));
  for (const SleeveCommand& command : output.sleeve) forwarder_->OnCommand(command);
  forwarder_->Flush();
}

void SimDataPath::OnDatagram(const SocketAddress& from, ByteView bytes) {
  forwarder_->OnDatagram(queue_.now().monotonic, MeshAddressOf(id_).ip, from, bytes);
  forwarder_->Flush();
  for (const SpecialFrameReceived& notice : std::exchange(notices_, {})) on_notice_(notice);
}

void SimDataPath::Send(DatagramBatch& batch) {
  for (const DatagramBatch::Datagram& datagram : batch.datagrams()) {
    const absl::Span<const std::uint8_t> bytes = batch.BytesOf(datagram);
    datagrams_.Send(id_, {datagram.route->remote, Bytes(bytes.begin(), bytes.end()), datagram.dont_fragment});
  }
}

}  // namespace weave::sim
