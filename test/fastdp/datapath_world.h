// A peer with a datapath: ports, neighbours, and a kernel that does what flows say.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "fastdp/datapath.h"
#include "fastdp/heartbeat.h"
#include "fastdp/tunnel_id.h"
#include "sim/sim_dpif.h"
#include "test/overlay/routes_world.h"
#include "test/support/catch.h"

namespace weave {

using Lines = std::vector<std::string>;

// The kernel's half, which writes down what it is asked.
class FakeDpif final : public sim::SimDpif {
 public:
  absl::Status Execute(ByteView frame, const FlowActions& actions) override {
    sent.emplace_back(frame.begin(), frame.end());
    lines.push_back("sent " + ToString(actions));
    return refuse;
  }
  absl::Status PutFlow(const FlowKey& key, const FlowActions& actions) override {
    const bool known = flows.contains(key);
    if (refuse.ok()) lines.push_back(absl::StrCat(known ? "changed " : "flow ", ToString(actions)));
    return SimDpif::PutFlow(key, actions);
  }
  absl::Status DeleteFlow(const FlowKey& key) override {
    if (refuse.ok() && flows.contains(key)) lines.push_back("deleted " + ToString(key));
    return SimDpif::DeleteFlow(key);
  }

  std::vector<Bytes> sent;
  Lines lines;
};

// Port 0 is the datapath's own, 1 the bridge's, 2 the tunnels'. Peer n has short id n and the address 10.0.0.n, and its
// connection the number n.
struct DatapathWorld : FrameCarrier, DatapathEvents {
  explicit DatapathWorld(int self_number = 2) : self(self_number) {
    dpif.Add({0, "datapath", VportKind::kInternal, 0});
    dpif.Add({0, "vethwe-datapath", VportKind::kNetdev, 0});
  }

  static IpAddress AddressOf(int peer) { return IpAddress::V4(0x0a000000 + static_cast<std::uint32_t>(peer)); }

  void Attach() {
    REQUIRE(datapath.Attach(now, dpif).ok());
    Settle();
  }
  // What a daemon does at its start.
  void Start(const std::vector<std::pair<int, int>>& links, const std::vector<int>& neighbours) {
    Route(links, neighbours);
    Attach();
    for (const int neighbour : neighbours) Tunnel(neighbour);
  }
  void Route(const std::vector<std::pair<int, int>>& links, const std::vector<int>& neighbours,
             const std::vector<Way>& ways = {Way::kFastdp, Way::kSleeve}, bool settle = true) {
    ForwardingSnapshot snapshot = *MakeForwarding(self, links, neighbours);
    for (ForwardingHop& hop : snapshot.hops) hop.ways = ways;
    snapshot.short_ids = short_ids;
    router.SetForwarding(std::make_shared<const ForwardingSnapshot>(snapshot));
    datapath.OnForwardingChanged(now);
    if (settle) Settle();
  }
  void Tunnel(int peer, std::uint16_t udp_port = 6784, std::size_t mtu = 1376) {
    datapath.OnCommand(now, SetFastdpTunnel{static_cast<ConnectionId>(peer), PeerName(static_cast<std::uint64_t>(peer)),
                                            AddressOf(self), AddressOf(peer), udp_port, mtu});
    Settle();
  }
  void CloseTunnel(int peer) {
    datapath.OnCommand(now, CloseFastdpTunnel{static_cast<ConnectionId>(peer)});
    Settle();
  }

  // A frame from `port`, or out of a tunnel from peer `hop`: by a flow, or by a miss.
  Lines Packet(VportNumber port, const MacAddress& to, const MacAddress& from) {
    return Packet(FlowKey{port, std::nullopt, from, to});
  }
  Lines Tunnelled(int source, int destination, int hop, const MacAddress& to, const MacAddress& from) {
    const std::uint32_t vni = MakeVni(static_cast<ShortId>(source), static_cast<ShortId>(destination));
    return Packet(FlowKey{2, TunnelKey{vni, AddressOf(hop), AddressOf(self)}, from, to});
  }
  Lines Packet(const FlowKey& key) {
    dpif.lines.clear();
    const auto flow = dpif.flows.find(key);
    if (flow != dpif.flows.end()) {
      ++flow->second.packets;
      return {"by flow " + ToString(flow->second.actions)};
    }
    Bytes frame(60, 0);
    std::copy_n(key.destination.bytes().begin(), 6, frame.begin());
    std::copy_n(key.source.bytes().begin(), 6, frame.begin() + 6);
    return Miss({key, frame});
  }
  Lines Miss(const Upcall& upcall) {
    dpif.lines.clear();
    dpif.sent.clear();
    datapath.OnMiss(now, upcall);
    Settle();
    return std::exchange(dpif.lines, {});
  }
  void Heartbeat(int peer, std::uint64_t uid, const Bytes& frame) {
    const std::uint32_t vni = MakeVni(static_cast<ShortId>(peer), static_cast<ShortId>(self));
    datapath.OnMiss(now, {{2, TunnelKey{vni, AddressOf(peer), AddressOf(self)}, {}, {}}, frame});
    (void)uid;
    Settle();
  }
  // What happened to flows since the last call.
  Lines TakeLines() { return std::exchange(dpif.lines, {}); }

  // The end of a turn: every flow is true, and the kernel has those that we think it has.
  void Settle() {
    datapath.Flush(now);
    CHECK(datapath.CheckFlows(now) == absl::OkStatus());
    Lines ours, kernels;
    for (const auto& [key, flow] : datapath.flows().flows())
      ours.push_back(absl::StrCat(ToString(key), " ", ToString(flow.actions)));
    for (const auto& [key, flow] : dpif.flows)
      kernels.push_back(absl::StrCat(ToString(key), " ", ToString(flow.actions)));
    if (datapath.attached() && check_kernel) CHECK(ours == kernels);
  }
  void Advance(Duration time) {
    const MonotonicTime end = now + time;
    for (;;) {
      const std::optional<MonotonicTime> next = Earliest({datapath.NextDeadline(), router.NextDeadline()});
      if (!next.has_value() || *next > end) break;
      now = std::max(now, *next);
      router.OnTimer(now);
      datapath.OnTimer(now);
      Settle();
    }
    now = end;
  }

  // ---- FrameCarrier: sleeve ----
  bool Carry(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame&, bool broadcast) override {
    dpif.lines.push_back(absl::StrCat("sleeve to ", hop.neighbour.value(), " ", source.value(), ">",
                                      destination.value(), broadcast ? " broadcast" : ""));
    return true;
  }
  // ---- DatapathEvents ----
  void OnHeartbeat(const FastdpHeartbeatReceived& heartbeat) override { heartbeats.push_back(heartbeat); }
  void OnPathMtu(const FastdpPathMtu& path_mtu) override { path_mtus.push_back(path_mtu.bytes); }
  void OnTunnelPort(const FastdpTunnelPort& port) override { ports.push_back(port); }

  const int self;
  MonotonicTime now = MonotonicTime() + absl::Hours(1);
  NullLogger logger;
  FakeDpif dpif;
  std::shared_ptr<const ShortIdMap> short_ids =
      std::make_shared<const ShortIdMap>(std::vector<std::pair<ShortId, PeerName>>{
          {1, PeerName(1)}, {2, PeerName(2)}, {3, PeerName(3)}, {4, PeerName(4)}});
  PacketRouter router;
  Datapath datapath{now, 6784, router, *this, *this, logger};
  std::vector<FastdpHeartbeatReceived> heartbeats;
  std::vector<std::size_t> path_mtus;
  std::vector<FastdpTunnelPort> ports;
  bool check_kernel = true;
};

}  // namespace weave
