#include "sim/data_path.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/bytes.h"
#include "base/status.h"
#include "fastdp/tunnel_mtu.h"
#include "sim/mesh_transport.h"

namespace weave::sim {
namespace {

// What stands before a frame between two kernels: the index of its key, and its VNI. As large as a VXLAN header.
constexpr std::size_t kTunnelHeaderSize = 8;

SocketAddress TunnelAddressOf(HostId host) { return {MeshAddressOf(host).ip, kVxlanPort}; }

}  // namespace

SimDataPath::SimDataPath(HostId id, const DataPathOptions& options, EventQueue& queue, Datagrams& datagrams,
                         const Random& random, FrameObserver* frames, Logger& logger,
                         std::function<void(const NetworkEvent&)> on_notice)
    : id_(id),
      options_(options),
      queue_(queue),
      datagrams_(datagrams),
      random_(random.Split("upcalls")),
      frames_(frames),
      logger_(logger),
      on_notice_(std::move(on_notice)),
      kernel_(options.wiring, options.checks_sizes, *this),
      ipsec_(queue, random.Split("keys"),
             options.mutant == DataPathMutant::kDropsKeys ? absl::ZeroDuration() : kIpsecLinger,
             [this](const IpsecNotice& notice) { on_notice_(notice); }) {
  if (!kernel_.has_datapath()) return;
  kernel_.dpif().path_mtu = options_.path_mtu_bytes;
  kernel_.dpif().keeps_deleted_flows = options.mutant == DataPathMutant::kKeepsFlows;
  datagrams_.Listen(TunnelAddressOf(id_), {[this](const SocketAddress& from, ByteView bytes) { OnPacket(from, bytes); },
                                           [](const SocketAddress&, std::size_t) {}});
}

// ---- the process ----

void SimDataPath::Start(PeerName self) {
  SleeveIo& io = *this;
  ++incarnation_;
  timer_.reset();
  changes_until_ = upcalls_until_ = now();
  forwarder_.reset();
  router_ = std::make_unique<PacketRouter>();
  forwarder_ = std::make_unique<SleeveForwarder>(self, *router_, io);
  datagrams_.Listen(MeshAddressOf(id_), {[this](const SocketAddress& from, ByteView bytes) { OnDatagram(from, bytes); },
                                         [this](const SocketAddress& to, std::size_t path_mtu_bytes) {
                                           on_notice_(DatagramTooBig{to, path_mtu_bytes});
                                         }});
  if (!kernel_.has_datapath()) return;
  if (options_.mutant == DataPathMutant::kFlushesFlows) kernel_.dpif().flows.clear();
  DatapathEvents& events = *this;
  datapath_ = std::make_unique<Datapath>(now(), kVxlanPort, *router_, *forwarder_, events, logger_);
  ipsec_.Start();
  // Containers send nothing that is large, so that what they have follows what is asked.
  if (options_.path_mtu_bytes.has_value()) TellLater(FastdpInterfaces{kDefaultTunnelMtu, true});
  // The host is put in order first.
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), absl::Milliseconds(200)),
                           [this, incarnation = incarnation_] {
                             if (incarnation == incarnation_) Attach();
                           });
}

void SimDataPath::Attach() {
  if (const absl::Status attached = datapath_->Attach(now(), kernel_.dpif()); !attached.ok()) {
    logger_.Error("the kernel's datapath cannot be used", {{"reason", attached.message()}});
    return;
  }
  forwarder_->SetKernel(datapath_.get());
  Settle();
}

void SimDataPath::Crash() {
  ++incarnation_;
  datagrams_.Close(MeshAddressOf(id_));
  ipsec_.Crash();
  datapath_.reset();
  forwarder_.reset();
  router_.reset();
}

void SimDataPath::Perform(NetworkOutput& output) {
  if (output.forwarding != nullptr) {
    router_->SetForwarding(std::move(output.forwarding));
    if (datapath_ != nullptr && options_.mutant != DataPathMutant::kDeafToRoutes) datapath_->OnForwardingChanged(now());
  }
  for (const SleeveCommand& command : output.sleeve) forwarder_->OnCommand(command);
  for (const FastdpCommand& command : output.fastdp) datapath_->OnCommand(now(), command);
  ipsec_.Perform(output.ipsec);
  if (output.interface_mtu.has_value()) TellLater(FastdpInterfaces{*output.interface_mtu, true});
  Settle();
}

void SimDataPath::TellLater(NetworkEvent notice) {
  queue_.AfterInBackground(absl::ZeroDuration(), [this, incarnation = incarnation_, notice = std::move(notice)] {
    if (incarnation == incarnation_) on_notice_(notice);
  });
}

void SimDataPath::OnDatagram(const SocketAddress& from, ByteView bytes) {
  forwarder_->OnDatagram(now(), MeshAddressOf(id_).ip, from, bytes);
  Settle();
  for (const SpecialFrameReceived& notice : std::exchange(notices_, {})) on_notice_(notice);
}

void SimDataPath::OnTimer() {
  router_->OnTimer(now());
  if (datapath_ != nullptr) datapath_->OnTimer(now());
  Settle();
}

// The end of a turn.
void SimDataPath::Settle() {
  if (router_ == nullptr) return;
  unchecked_ = true;
  if (datapath_ != nullptr) datapath_->Flush(now());
  forwarder_->Flush();
  std::optional<MonotonicTime> next = router_->NextDeadline();
  if (datapath_ != nullptr) next = Earliest({next, datapath_->NextDeadline()});
  if (next == timer_) return;
  timer_ = next;
  if (!next.has_value()) return;
  queue_.AtInBackground(*next, [this, incarnation = incarnation_, next] {
    if (incarnation != incarnation_ || timer_ != next) return;
    timer_.reset();
    OnTimer();
  });
}

absl::Status SimDataPath::CheckFlows() {
  if (!std::exchange(unchecked_, false) || datapath_ == nullptr || !datapath_->attached()) return absl::OkStatus();
  RETURN_IF_ERROR(datapath_->CheckFlows());
  const FlowTable::Map& ours = datapath_->flows().flows();
  const auto same = [](const auto& flow, const auto& kernels) {
    return flow.first == kernels.first && flow.second.actions == kernels.second.actions;
  };
  const auto& kernels = kernel_.dpif().flows;
  if (std::equal(ours.begin(), ours.end(), kernels.begin(), kernels.end(), same)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the kernel has ", kernels.size(), " flows that are not the ", ours.size(),
                                          " that the peer believes it has"));
}

// ---- datagrams ----

void SimDataPath::Send(DatagramBatch& batch) {
  for (const DatagramBatch::Datagram& datagram : batch.datagrams()) {
    const absl::Span<const std::uint8_t> bytes = batch.BytesOf(datagram);
    datagrams_.Send(
        {MeshAddressOf(id_), datagram.route->remote, Bytes(bytes.begin(), bytes.end()), datagram.dont_fragment});
  }
}

void SimDataPath::Inject(const FrameBatch& batch) {
  if (kernel_.has_datapath()) return;  // that has the bridge
  for (const Frame& frame : batch.frames()) kernel_.Inject(frame.bytes);
}

// ---- the kernel ----

void SimDataPath::Send(const MacAddress& nic, ByteView frame) {
  kernel_.Send(nic, frame);
  Settle();
}

void SimDataPath::OnCaptured(ByteView frame) {
  if (forwarder_ == nullptr) return;
  if (frames_ != nullptr) frames_->OnSeenByPeer(id_, frame);
  forwarder_->OnCaptured(now(), {frame, {}});
}

void SimDataPath::ReadLater(MonotonicTime& until, std::function<void()> read) {
  until = std::max(until, now() + Draw(random_, absl::Microseconds(10), absl::Milliseconds(2)));
  queue_.AtInBackground(until, [this, incarnation = incarnation_, read = std::move(read)] {
    if (incarnation != incarnation_ || !datapath_->attached()) return;
    read();
    Settle();
  });
}

void SimDataPath::OnUpcall(const Upcall& upcall) {
  if (datapath_ == nullptr || !datapath_->attached()) return;  // nobody listens
  upcalls_until_ = std::max(upcalls_until_, changes_until_);
  ReadLater(upcalls_until_, [this, key = upcall.key, too_large_for = upcall.too_large_for,
                             frame = Bytes(upcall.frame.begin(), upcall.frame.end())] {
    if (frames_ != nullptr) frames_->OnSeenByPeer(id_, frame);
    datapath_->OnMiss(now(), {key, frame, too_large_for});
  });
}

void SimDataPath::OnTunnelled(const TunnelKey& tunnel, std::uint16_t udp_port, ByteView frame) {
  const std::optional<Spi> spi = ipsec_.Outbound({tunnel.source, tunnel.destination});
  if (!spi.has_value()) return;
  if (frames_ != nullptr && !frames_->OnTunnelled(id_, frame, *spi == SimIpsec::kClear)) return;
  Bytes payload(kTunnelHeaderSize + frame.size());
  WriteBigEndian(*spi, 4, payload.data());
  WriteBigEndian(tunnel.vni, 4, payload.data() + 4);
  std::copy(frame.begin(), frame.end(), payload.begin() + kTunnelHeaderSize);
  datagrams_.Send({{tunnel.source, kVxlanPort}, {tunnel.destination, udp_port}, std::move(payload), true});
}

void SimDataPath::OnPacket(const SocketAddress& from, ByteView bytes) {
  const auto spi = static_cast<Spi>(ReadBigEndian(bytes.first(4)));
  const auto vni = static_cast<std::uint32_t>(ReadBigEndian(bytes.subspan(4, 4)));
  const IpAddress local = MeshAddressOf(id_).ip;
  if (!ipsec_.Admits({local, from.ip}, spi)) return;
  kernel_.Receive({vni, from.ip, local}, kVxlanPort, bytes.subspan(kTunnelHeaderSize));
  Settle();
}

void SimDataPath::OnReceived(const MacAddress& nic, ByteView frame) {
  if (frames_ != nullptr) frames_->OnReceived(id_, nic, frame);
}

void SimDataPath::OnDelivered(ByteView frame) {
  if (frames_ != nullptr) frames_->OnDelivered(id_, frame);
}

void SimDataPath::OnVportAdded(const Vport& vport) {
  if (datapath_ != nullptr) ReadLater(changes_until_, [this, vport] { datapath_->OnVportAdded(vport); });
}

void SimDataPath::OnVportGone(VportNumber number) {
  if (datapath_ != nullptr) ReadLater(changes_until_, [this, number] { datapath_->OnVportGone(number); });
}

}  // namespace weave::sim
