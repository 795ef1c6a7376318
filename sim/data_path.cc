#include "sim/data_path.h"

#include <algorithm>
#include <iterator>
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
// How long the kernel believes a router. Linux: 10 minutes; here what is over does not last into the time of rest.
constexpr Duration kHeardMtuLife = absl::Minutes(1);
// Within which a peer is done with what the kernel refused until then.
const Duration kMendTime = Datapath::kRepeat + absl::Milliseconds(100);
constexpr Duration kMaxAwayTime = absl::Seconds(3);
// Interfaces on a bridge alone would take seven times that.
constexpr std::size_t kLargestOnBridge = 9000;  // bytes

// What ESP adds to a tunnel's packet: headers, nonce and check value, and padding to a multiple of 4 (RFC 4303).
std::size_t SealSize(std::size_t frame_size) {
  const std::size_t inner = 8 + kTunnelHeaderSize + frame_size;
  return 16 + (inner + 2 + 3) / 4 * 4 - inner + 16;
}

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
  kernel_.MakeParts();
  kernel_.SetInterfaceMtu(interface_mtu_);
  kernel_.dpif().keeps_deleted_flows = options.mutant == DataPathMutant::kKeepsFlows;
  kernel_.dpif().hides_flows = options.mutant == DataPathMutant::kHidesFlows;
  datagrams_.Listen(TunnelAddressOf(id_), {[this](const SocketAddress& from, ByteView bytes) { OnPacket(from, bytes); },
                                           [this](const SocketAddress& to, std::size_t path_mtu_bytes) {
                                             heard_mtus_[to.ip] = {path_mtu_bytes, now() + kHeardMtuLife};
                                           }});
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
  ReturnNics();
  if (!kernel_.has_datapath()) return;
  wanted_mtu_ = kDefaultTunnelMtu;
  told_interfaces_ = FastdpInterfaces();
  if (options_.mutant == DataPathMutant::kFlushesFlows) kernel_.dpif().flows.clear();
  DatapathEvents& events = *this;
  datapath_ = std::make_unique<Datapath>(now(), kVxlanPort, *router_, *forwarder_, events, logger_);
  ipsec_.Start();
  // The host is put in order first.
  queue_.AfterInBackground(Draw(random_, absl::ZeroDuration(), absl::Milliseconds(200)),
                           [this, incarnation = incarnation_] {
                             if (incarnation == incarnation_) Attach();
                           });
}

void SimDataPath::Attach() {
  kernel_.MakeParts();
  ++attachment_;
  in_order_ = true;
  if (const absl::Status attached = datapath_->Attach(now(), kernel_.dpif()); !attached.ok())
    logger_.Error("the kernel's datapath cannot be used yet", {{"reason", attached.message()}});
  forwarder_->SetKernel(datapath_.get());
  Settle();
}

// As the daemon does, and the host's part that follows.
void SimDataPath::LoseDatapath() {
  datapath_->Detach();
  forwarder_->SetKernel(nullptr);
  ++attachment_;
  queue_.AfterInBackground(Draw(random_, absl::Milliseconds(10), absl::Seconds(2)),
                           [this, incarnation = incarnation_, attachment = attachment_] {
                             if (incarnation == incarnation_ && attachment == attachment_) Attach();
                           });
}

void SimDataPath::Crash() {
  ++incarnation_;
  in_order_ = false;
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
  if (output.interface_mtu.has_value()) wanted_mtu_ = *output.interface_mtu;
  Settle();
}

// Those of a host have one MTU, which is another only from one container's end to the next one's begin.
void SimDataPath::FitInterfaces() {
  if (!in_order_) return;
  const bool may_grow = options_.searches_mtu && kernel_.nics().empty();
  if (may_grow) interface_mtu_ = wanted_mtu_;
  kernel_.SetInterfaceMtu(interface_mtu_);
  const FastdpInterfaces interfaces{interface_mtu_, may_grow};
  if (std::exchange(told_interfaces_, interfaces) != interfaces) TellLater(interfaces);
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
  FitInterfaces();
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
  if (!kernel_.datapath_exists()) return absl::OkStatus();  // the peer is about to hear of it
  RETURN_IF_ERROR(datapath_->CheckFlows(now()));
  const FlowTable::Map& ours = datapath_->flows().flows();
  const auto& kernels = kernel_.dpif().flows;
  const bool has_ours = std::all_of(ours.begin(), ours.end(), [&](const auto& flow) {
    const auto kernels_flow = kernels.find(flow.first);
    return kernels_flow != kernels.end() && kernels_flow->second.actions == flow.second.actions;
  });
  const bool may_have_others = refuses_ || now() < mended_at_;
  if (has_ours && (may_have_others || ours.size() == kernels.size())) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the kernel has ", kernels.size(), " flows that are not the ", ours.size(),
                                          " that the peer believes it has"));
}

// ---- what others do ----

void SimDataPath::Reboot() {
  for (const auto& [nic, port] : kernel_.nics()) away_.insert(nic);
  kernel_.Reboot();
  ipsec_.Reboot();
  heard_mtus_.clear();
  interface_mtu_ = kDefaultTunnelMtu;
}

// Nobody starts them before there is something for them to hang on.
void SimDataPath::ReturnNics() {
  if (options_.mutant == DataPathMutant::kForgetsNics) return;
  for (const MacAddress& nic : away_) {
    queue_.After(Draw(random_, absl::Milliseconds(300), kMaxAwayTime), [this, nic] {
      if (away_.erase(nic) > 0) Plug(nic);
    });
  }
}

void SimDataPath::DeleteDatapath() {
  if (!kernel_.datapath_exists()) return;
  kernel_.DeleteDatapath();
  if (datapath_ == nullptr || options_.mutant == DataPathMutant::kDeafToLoss) return;
  ReadLater(changes_until_, [this] { LoseDatapath(); });
}

void SimDataPath::DeletePort(VportKind kind) {
  kernel_.DeletePort(kind);
  if (kind == VportKind::kNetdev && in_order_) MakePartsLater();
}

// The bridge's port is noticed and made again by the host's part of the daemon.
void SimDataPath::MakePartsLater() {
  queue_.AfterInBackground(Draw(random_, absl::Milliseconds(10), absl::Seconds(2)), [this, incarnation = incarnation_] {
    if (incarnation != incarnation_ || !kernel_.datapath_exists()) return;
    kernel_.MakeParts();
    Settle();
  });
}

void SimDataPath::Refuse(const absl::Status& refuse, bool full) {
  kernel_.dpif().refuse = refuse;
  kernel_.dpif().full = full;
  if (!refuse.ok() && options_.mutant == DataPathMutant::kKeepsRefused) kernel_.dpif().keeps_deleted_flows = true;
  if (!std::exchange(refuses_, !refuse.ok()) || refuses_) return;
  mended_at_ = now() + kMendTime;
  queue_.AfterInBackground(kMendTime, [this] { unchecked_ = true; });
}

void SimDataPath::TakePort() {
  kernel_.dpif().taken_port = kVxlanPort;
  DeletePort(VportKind::kVxlan);
}

void SimDataPath::ReturnPort() {
  if (options_.mutant != DataPathMutant::kKeepsPort) kernel_.dpif().taken_port = 0;
}

void SimDataPath::LeaveForeignFlows(const std::vector<MacAddress>& nics, Random& random) {
  if (!kernel_.datapath_exists()) return;
  SimDpif& dpif = kernel_.dpif();
  const auto draw_port = [&] {
    return std::next(dpif.vports.begin(), static_cast<std::ptrdiff_t>(random.Below(dpif.vports.size())))->first;
  };
  for (std::uint64_t left = 1 + random.Below(8); left > 0; --left) {
    const FlowKey key{draw_port(), std::nullopt, nics[random.Below(nics.size())], nics[random.Below(nics.size())]};
    FlowActions actions;
    if (const VportNumber port = draw_port(); port != key.in_port) actions.emplace_back(Output{port});
    dpif.flows[key] = {actions};
  }
  if (random.Chance(1, 2)) dpif.others[draw_port()] = {};
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

void SimDataPath::Unplug(const MacAddress& nic) {
  if (away_.erase(nic) > 0) return;
  kernel_.Unplug(nic);
  Settle();
}

void SimDataPath::Send(const MacAddress& nic, ByteView frame) {
  if (away_.contains(nic)) return;
  kernel_.Send(nic, frame);
  Settle();
}

std::size_t SimDataPath::largest_packet() const { return has_datapath() ? interface_mtu_ : kLargestOnBridge; }

void SimDataPath::OnCaptured(ByteView frame) {
  if (forwarder_ == nullptr) return;
  if (frames_ != nullptr) frames_->OnSeenByPeer(id_, frame);
  forwarder_->OnCaptured(now(), {frame, {}});
}

void SimDataPath::ReadLater(MonotonicTime& until, std::function<void()> read) {
  until = std::max(until, now() + Draw(random_, absl::Microseconds(10), absl::Milliseconds(2)));
  queue_.AtInBackground(until, [this, incarnation = incarnation_, attachment = attachment_, read = std::move(read)] {
    if (incarnation != incarnation_ || attachment != attachment_ || !datapath_->attached()) return;
    read();
    Settle();
  });
}

void SimDataPath::OnUpcall(const Upcall& upcall) {
  if (datapath_ == nullptr || !datapath_->attached()) return;  // nobody listens
  if (upcall.too_large_for.has_value() && options_.mutant == DataPathMutant::kLosesLarge) return;
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
  const std::size_t seal_size = *spi == SimIpsec::kClear ? 0 : SealSize(frame.size());
  datagrams_.Send(
      {{tunnel.source, kVxlanPort}, {tunnel.destination, udp_port}, std::move(payload), true, true, seal_size});
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
  if (datapath_ == nullptr || options_.mutant == DataPathMutant::kDeafToPorts) return;
  ReadLater(changes_until_, [this, number] { datapath_->OnVportGone(now(), number); });
}

std::optional<std::size_t> SimDataPath::PathMtuTo(const IpAddress& remote) const {
  if (!options_.searches_mtu) return std::nullopt;
  const auto heard = heard_mtus_.find(remote);
  if (heard != heard_mtus_.end() && now() < heard->second.until) return heard->second.bytes;
  return datagrams_.link_mtu_bytes();
}

}  // namespace weave::sim
