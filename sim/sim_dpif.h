// The kernel's half of a datapath, as the simulator and the data path's unit tests have it: ports and flows. What
// becomes of packets is said by those who have one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastdp/dpif.h"

namespace weave::sim {

class SimDpif : public Dpif {
 public:
  struct Flow {
    FlowActions actions;
    std::uint64_t packets = 0;
  };

  // Under the lowest number that is free, as the kernel does it; 0 is the first port's, which is the datapath's own.
  const Vport& Add(Vport vport);

  bool can_check_sizes() const override { return checks_sizes; }
  absl::Status PutFlow(const FlowKey& key, const FlowActions& actions) override;
  Handled ExecuteAndPutFlow(ByteView frame, const FlowActions& now, const FlowKey& key,
                            const FlowActions& from_now_on) override {
    return {Execute(frame, now), PutFlow(key, from_now_on)};
  }
  absl::Status DeleteFlow(const FlowKey& key) override;
  absl::Status ClearFlowStats(const FlowKey& key) override;
  absl::StatusOr<std::vector<FlowStats>> DumpFlows() override;
  std::optional<std::size_t> PathMtu(const IpAddress&, const IpAddress&) override { return path_mtu; }
  absl::StatusOr<std::vector<Vport>> ListVports() override;
  absl::StatusOr<Vport> EnsureVxlanVport(std::uint16_t udp_port) override;

  absl::btree_map<FlowKey, Flow> flows;
  absl::btree_map<VportNumber, FlowActions> others;  // flows of other programs: for everything from a port
  absl::btree_map<VportNumber, Vport> vports;
  bool exists = true;  // false: somebody deleted the datapath
  bool checks_sizes = false;
  std::optional<std::size_t> path_mtu;
  std::uint16_t taken_port = 0;  // UDP: another program has it
  absl::Status refuse;           // what is asked about flows
  bool full = false;             // refuse flows and actions, but not to delete
  bool keeps_deleted_flows = false;
  bool hides_flows = false;  // from who asks which there are

 private:
  // Not OK: nothing that is asked about flows is done.
  absl::Status Refusal() const;
};

}  // namespace weave::sim
