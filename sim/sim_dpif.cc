#include "sim/sim_dpif.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave::sim {
namespace {

absl::Status NoDatapath() { return absl::NotFoundError("there is no datapath"); }

}  // namespace

const Vport& SimDpif::Add(Vport vport) {
  vport.number = vports.empty() ? 0 : 1;
  while (vports.contains(vport.number)) ++vport.number;
  return vports[vport.number] = std::move(vport);
}

absl::Status SimDpif::Refusal() const { return exists ? refuse : NoDatapath(); }

absl::Status SimDpif::PutFlow(const FlowKey& key, const FlowActions& actions) {
  RETURN_IF_ERROR(Refusal());
  if (full) return absl::ResourceExhaustedError("no room for a flow");
  if (others.contains(key.in_port))
    return absl::FailedPreconditionError("a flow of another program matches the same frames");
  flows[key].actions = actions;
  return absl::OkStatus();
}

absl::Status SimDpif::DeleteFlow(const FlowKey& key) {
  RETURN_IF_ERROR(Refusal());
  if (!keeps_deleted_flows) flows.erase(key);
  return absl::OkStatus();
}

absl::Status SimDpif::ClearFlowStats(const FlowKey& key) {
  RETURN_IF_ERROR(Refusal());
  const auto flow = flows.find(key);
  if (flow == flows.end()) return absl::NotFoundError("there is no such flow");
  flow->second.packets = 0;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<FlowStats>> SimDpif::DumpFlows() {
  RETURN_IF_ERROR(Refusal());
  others.clear();
  std::vector<FlowStats> dump;
  if (hides_flows) return dump;
  for (const auto& [key, flow] : flows) dump.push_back({key, flow.actions, flow.packets, 0, flow.packets != 0});
  return dump;
}

absl::StatusOr<std::vector<Vport>> SimDpif::ListVports() {
  if (!exists) return NoDatapath();
  std::vector<Vport> list;
  for (const auto& [number, vport] : vports) list.push_back(vport);
  return list;
}

absl::StatusOr<Vport> SimDpif::EnsureVxlanVport(std::uint16_t udp_port) {
  if (!exists) return NoDatapath();
  for (const auto& [number, vport] : vports)
    if (vport.kind == VportKind::kVxlan && vport.udp_port == udp_port) return vport;
  if (udp_port == taken_port) return absl::UnavailableError("port taken");
  return Add({0, absl::StrCat("vxlan-", udp_port), VportKind::kVxlan, udp_port});
}

}  // namespace weave::sim
