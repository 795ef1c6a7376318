#include "doctor/judge.h"

namespace weave {

std::vector<Finding> Judge(const DoctorFacts& facts) {
  std::vector<Finding> findings;
  for (const auto check : {CheckPeer, CheckPorts, CheckConnections, CheckPeers, CheckClocks, CheckFirewall, CheckMtu,
                           CheckKernel, CheckStore, CheckAddresses, CheckLeftovers})
    check(facts, findings);
  for (const std::string& unseen : facts.unseen) Findings(findings, "doctor").Warn(unseen, "");
  return findings;
}

}  // namespace weave
