// What moves frames on a simulated machine without the peer's process, and outlives it: the interfaces of containers,
// the bridge they hang on, and Open vSwitch's datapath where the machine has one, until somebody takes it away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/bytes.h"
#include "base/mac.h"
#include "fastdp/dpif.h"
#include "overlay/checksum.h"
#include "overlay/frame.h"
#include "sim/sim_dpif.h"

namespace weave::sim {

enum class Wiring : std::uint8_t {
  kCaptured,  // containers are on a bridge, and one port of it leads to the peer
  kBridged,   // one port of it leads into the datapath
  kDirect,    // containers are ports of the datapath
};

// Called during SimKernel's calls.
class SimKernelEvents {
 public:
  virtual ~SimKernelEvents() = default;

  // What no flow matches, or a flow did not let pass.
  virtual void OnUpcall(const Upcall& upcall) = 0;
  // kCaptured: a frame for whoever is not on this host, perhaps.
  virtual void OnCaptured(ByteView frame) = 0;
  virtual void OnTunnelled(const TunnelKey& tunnel, std::uint16_t udp_port, ByteView frame) = 0;
  // A container takes it.
  virtual void OnReceived(const MacAddress& nic, ByteView frame) = 0;
  // From the datapath or the peer into the bridge, or into a container's port: also what nobody takes there.
  virtual void OnDelivered(ByteView frame) = 0;
  virtual void OnVportAdded(const Vport& vport) = 0;
  virtual void OnVportGone(VportNumber number) = 0;

  // What the kernel would say of the path to there; none: nothing.
  virtual std::optional<std::size_t> PathMtuTo(const IpAddress& remote) const = 0;
};

class SimKernel {
 public:
  // Without a datapath yet. `events` outlives the kernel.
  SimKernel(Wiring wiring, bool checks_sizes, SimKernelEvents& events);
  SimKernel(const SimKernel&) = delete;
  SimKernel& operator=(const SimKernel&) = delete;

  // Whether this machine is to have one; the second: whether it has.
  bool has_datapath() const { return wiring_ != Wiring::kCaptured; }
  bool datapath_exists() const { return has_datapath() && dpif_.exists; }
  SimDpif& dpif() { return dpif_; }

  // A container's interface comes or goes, with its address.
  void Plug(const MacAddress& nic);
  void Unplug(const MacAddress& nic);
  const absl::btree_map<MacAddress, std::optional<VportNumber>>& nics() const { return nics_; }
  // What is larger than its interface a container loses without a word.
  void SetInterfaceMtu(std::size_t mtu_bytes) { max_frame_size_ = mtu_bytes + kEthernetHeaderSize; }
  // The container sends: a frame with its header, from its address.
  void Send(const MacAddress& nic, ByteView frame);

  // ---- what others do to it, and how it is put right ----
  // With its ports and flows. Containers stay, and reach nobody by it.
  void DeleteDatapath();
  // The tunnels' port, or the bridge's; nothing where there is none.
  void DeletePort(VportKind kind);
  // As the machine starts: no container, no datapath.
  void Reboot();
  // As a peer does: what is missing comes, without flows, and in another order than containers came.
  void MakeParts();

  // From the peer, into the bridge. Without a datapath.
  void Inject(ByteView frame) { Flood(frame, std::nullopt); }
  // Out of a tunnel to our address and this port.
  void Receive(const TunnelKey& tunnel, std::uint16_t udp_port, ByteView frame);

 private:
  class Ports final : public SimDpif {
   public:
    explicit Ports(SimKernel& kernel) : kernel_(kernel) {}
    absl::Status Execute(ByteView frame, const FlowActions& actions) override;
    std::optional<std::size_t> PathMtu(const IpAddress& local, const IpAddress& remote) override;

   private:
    SimKernel& kernel_;
  };

  void AddPort(const MacAddress& nic);
  bool Takes(const MacAddress& nic, ByteView frame) const;
  void Input(const FlowKey& key, ByteView frame);
  // `key`: of the flow whose actions these are; none: the peer's.
  void Act(const FlowActions& actions, const FlowKey* key, ByteView frame);
  void Out(VportNumber port, const std::optional<TunnelKey>& tunnel, ByteView frame);
  void Flood(ByteView frame, std::optional<MacAddress> except);

  const Wiring wiring_;
  SimKernelEvents& events_;
  Ports dpif_;
  std::optional<VportNumber> bridge_port_;                        // kBridged
  absl::btree_map<MacAddress, std::optional<VportNumber>> nics_;  // kDirect: their ports
  absl::btree_map<VportNumber, MacAddress> by_port_;              // the same
  absl::btree_set<MacAddress> heard_;  // nics that have sent: the bridge knows where they are
  std::size_t max_frame_size_ = kMaxIpv4PacketSize + kEthernetHeaderSize;
};

}  // namespace weave::sim
