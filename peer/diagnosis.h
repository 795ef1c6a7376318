// What the peer tells `weave doctor` (proto/weave/v1/peer.proto): plain facts, sampled on the loop.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "dns/name_registry.h"
#include "host/firewall_rules.h"
#include "host/packet_filter.h"
#include "ipam/allocator.h"
#include "mesh/mesh_status.h"
#include "peer/bridge_plan.h"
#include "peer/core/peer_core.h"
#include "peer/flags.h"
#include "weave/v1/peer.pb.h"

namespace weave {

// The parts of a diagnosis, each of what one room knows.
void DescribeMesh(const MeshStatus& mesh, v1::Diagnosis& diagnosis);
void DescribeAllocator(const IpamStatus& ipam, v1::Diagnosis::Allocator& allocator);
// Nicknames are those of `mesh`.
void DescribeClocks(Now now, const absl::btree_map<PeerName, ClockReading>& readings, const MeshStatus& mesh,
                    v1::Diagnosis& diagnosis);
// Names of other peers for the addresses in use here. Not those that people registered for addresses of others.
void DescribeRivals(const absl::btree_set<std::uint32_t>& addresses, const NameRegistry& names, const MeshStatus& mesh,
                    v1::Diagnosis& diagnosis);
void DescribeFirewall(const FirewallConfig& config, FirewallBackend backend, v1::Diagnosis::Firewall& firewall);

// How this peer was told to be: its listeners and its bridge.
void DescribeOptions(const WeaverOptions& options, const BridgePlan& plan, v1::Diagnosis& diagnosis);

// All of it but the firewall, the store and where names are served, which the core does not know.
v1::Diagnosis MakeDiagnosis(Now now, const PeerCore& core, const WeaverOptions& options, const BridgePlan& plan);

// The answer to GetInfo.
v1::PeerInfo MakePeerInfo(const PeerCore& core, const WeaverOptions& options, const BridgePlan& plan,
                          const std::string& store_path);

}  // namespace weave
