// What `weave doctor` learns of a peer: whether it runs, by its locks and its answers, and what it tells.
#pragma once

#include "cli/command.h"
#include "cli/launch_state.h"
#include "doctor/facts.h"
#include "doctor/os/gather.h"
#include "weave/v1/peer.pb.h"

namespace weave {

// The peer's part of the facts, and what of it says where to look on the host. Takes up to 3 s more when connections
// are just being made, so that none of those counts as broken.
void AskPeer(CommandContext& context, const LaunchState& state, DoctorFacts& facts, GatherOptions& options);

// ---- the parts; pure ----

void TakeInfo(const v1::PeerInfo& info, PeerFacts& peer);
// Addresses that are none are passed over.
void TakeDiagnosis(const v1::Diagnosis& diagnosis, PeerFacts& peer);
void TakeHolders(const v1::AllocationList& list, PeerFacts& peer);

// Where to look, by what the peer tells.
void AimByDiagnosis(const v1::Diagnosis& diagnosis, const v1::PeerInfo& info, GatherOptions& options);

// The ports that such a peer holds.
std::vector<PortFacts> PortsOf(const v1::Diagnosis& diagnosis, bool has_fastdp);
// Those that a peer which is launched with `state` will want.
std::vector<PortFacts> PortsOf(const LaunchState& state);

// Connections are being made, of which nobody can tell yet how it ends.
bool IsUnsettled(const v1::Diagnosis& diagnosis);

}  // namespace weave
