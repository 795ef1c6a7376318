// The kernel's datapath as the model drives it ("datapath interface", as Open vSwitch calls it). OvsDpif is the real
// one; tests and the simulator have theirs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ip.h"
#include "base/time.h"
#include "fastdp/flow.h"

namespace weave {

enum class VportKind : std::uint8_t {
  kNetdev,    // an interface that was put into the datapath: a veth
  kInternal,  // an interface of the datapath's own
  kVxlan,     // the tunnels of one UDP port
  kOther,     // what other programs made
};

struct Vport {
  VportNumber number = 0;
  std::string name;
  VportKind kind = VportKind::kOther;
  std::uint16_t udp_port = 0;  // kVxlan

  friend bool operator==(const Vport&, const Vport&) = default;
};

// A packet that no flow matched, or that a SizedOutput did not let pass.
struct Upcall {
  FlowKey key;
  ByteView frame;                                   // valid during the call
  std::optional<std::uint32_t> too_large_for = {};  // the VNI of that SizedOutput
};

// A flow as the kernel counts it.
struct FlowStats {
  FlowKey key;
  FlowActions actions;
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  bool used = false;  // since it was made or its counters were cleared
};

// Calls return when the kernel has taken what they ask. One thread.
class Dpif {
 public:
  virtual ~Dpif() = default;

  // Whether there may be a SizedOutput in actions: Linux 5.2 and later.
  virtual bool can_check_sizes() const = 0;

  // Sends this packet through these actions, now.
  virtual absl::Status Execute(ByteView frame, const FlowActions& actions) = 0;

  // Makes the flow, or gives it other actions; packets meet the one or the other, never neither.
  virtual absl::Status PutFlow(const FlowKey& key, const FlowActions& actions) = 0;
  // Both, in this order, each with its own outcome: what a miss asks for.
  struct Handled {
    absl::Status executed;
    absl::Status put;
  };
  virtual Handled ExecuteAndPutFlow(ByteView frame, const FlowActions& now, const FlowKey& key,
                                    const FlowActions& from_now_on) = 0;
  // Nothing there is success.
  virtual absl::Status DeleteFlow(const FlowKey& key) = 0;
  // Zero packets, not used.
  virtual absl::Status ClearFlowStats(const FlowKey& key) = 0;
  // All flows whose key and actions are of our form. Others, which only another program can have made, are deleted.
  virtual absl::StatusOr<std::vector<FlowStats>> DumpFlows() = 0;

  // What a packet between these addresses may have, headers included; none: there is no route now.
  virtual std::optional<std::size_t> PathMtu(const IpAddress& local, const IpAddress& remote) = 0;

  virtual absl::StatusOr<std::vector<Vport>> ListVports() = 0;
  // The VXLAN port of this UDP port; made if it is not there. Unavailable: another program has the UDP port.
  virtual absl::StatusOr<Vport> EnsureVxlanVport(std::uint16_t udp_port) = 0;
};

}  // namespace weave
