// What moves frames on a simulated machine without the peer's process, and outlives it: the interfaces of containers,
// the bridge they hang on, and Open vSwitch's datapath where the machine has one.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/bytes.h"
#include "base/mac.h"
#include "fastdp/dpif.h"
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
};

class SimKernel {
 public:
  // `events` outlives the kernel.
  SimKernel(Wiring wiring, bool checks_sizes, SimKernelEvents& events);
  SimKernel(const SimKernel&) = delete;
  SimKernel& operator=(const SimKernel&) = delete;

  bool has_datapath() const { return wiring_ != Wiring::kCaptured; }
  SimDpif& dpif() { return dpif_; }

  // A container's interface comes or goes, with its address.
  void Plug(const MacAddress& nic);
  void Unplug(const MacAddress& nic);
  // The container sends: a frame with its header, from its address.
  void Send(const MacAddress& nic, ByteView frame);

  // From the peer, into the bridge. Without a datapath.
  void Inject(ByteView frame) { Flood(frame, std::nullopt); }
  // Out of a tunnel to our address and this port.
  void Receive(const TunnelKey& tunnel, std::uint16_t udp_port, ByteView frame);

 private:
  class Ports final : public SimDpif {
   public:
    explicit Ports(SimKernel& kernel) : kernel_(kernel) {}
    absl::Status Execute(ByteView frame, const FlowActions& actions) override;

   private:
    SimKernel& kernel_;
  };

  void Input(const FlowKey& key, ByteView frame);
  // `key`: of the flow whose actions these are; none: the peer's.
  void Act(const FlowActions& actions, const FlowKey* key, ByteView frame);
  void Out(VportNumber port, const std::optional<TunnelKey>& tunnel, ByteView frame);
  void Flood(ByteView frame, std::optional<MacAddress> except);

  const Wiring wiring_;
  SimKernelEvents& events_;
  Ports dpif_;
  VportNumber bridge_port_ = 0;                       // kBridged
  absl::btree_map<MacAddress, VportNumber> nics_;     // kDirect: their ports
  absl::btree_map<VportNumber, MacAddress> by_port_;  // the same
  absl::btree_set<MacAddress> heard_;                 // nics that have sent: the bridge knows where they are
};

}  // namespace weave::sim
