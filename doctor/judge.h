// What facts mean: the judgement of `weave doctor`, as pure functions. A check that finds nothing says so in one line.
#pragma once

#include <vector>

#include "doctor/facts.h"
#include "doctor/finding.h"

namespace weave {

// All checks, in the order of the text: first who runs, last what is left behind.
std::vector<Finding> Judge(const DoctorFacts& facts);

// ---- peer_checks.cc ----
void CheckPeer(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckConnections(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckPeers(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckClocks(const DoctorFacts& facts, std::vector<Finding>& findings);

// ---- host_checks.cc ----
void CheckPorts(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckFirewall(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckMtu(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckKernel(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckStore(const DoctorFacts& facts, std::vector<Finding>& findings);

// ---- address_checks.cc ----
void CheckAddresses(const DoctorFacts& facts, std::vector<Finding>& findings);
void CheckLeftovers(const DoctorFacts& facts, std::vector<Finding>& findings);

}  // namespace weave
