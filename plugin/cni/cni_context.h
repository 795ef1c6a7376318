// One call of a CNI plugin: what the runtime asked, and the peer of this host.
#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/attachment.h"
#include "client/peer_client.h"
#include "host/netlink.h"
#include "plugin/cni/cni_call.h"
#include "plugin/cni/cni_config.h"

namespace weave {

struct CniContext {
  const CniCall& call;
  const CniConfig& config;
  absl::string_view input;  // the configuration as it came, for delegated plugins
  const CniEnvironment& environment;
  std::ostream& err;  // for lines that no result or error has room for
  // Of addresses that are asked for: the peer watches interfaces of ours, not those that other plugins make.
  v1::Upkeep upkeep = v1::UPKEEP_HOLDER;
  std::optional<PeerClient>& peer;  // none until the first call; outlives this call of the plugin, see RunCni

  NetworkAttachment attachment() const { return {call.container_id, config.name, call.interface}; }
  // By which the peer knows who has an address.
  std::string holder() const { return attachment().ToString(); }
};

// Connects at the first call. No peer that answers is code 11: the runtime shall try again.
absl::StatusOr<PeerClient*> PeerOf(CniContext& context);

// Takes an interface of a container away by its end on the host, whose index and name these are. The peer is asked to,
// as that is quicker; without one it is done here. Either way nothing of it is there afterwards.
absl::Status RemoveInterface(CniContext& context, Netlink& netlink, int link_index, absl::string_view name);

}  // namespace weave
