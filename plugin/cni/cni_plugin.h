// The CNI plugins weave-net and weave-ipam: one call from environment and standard input to result and exit status.
// Above cni_network.h and cni_ipam.h.
#pragma once

#include <istream>
#include <optional>
#include <ostream>

#include "absl/strings/string_view.h"
#include "client/peer_client.h"
#include "plugin/cni/cni_call.h"

namespace weave {

enum class CniPlugin {
  kNetwork,  // weave-net: interfaces and their addresses
  kIpam,     // weave-ipam: addresses for another plugin's interfaces
};

// The plugin that a program of this name is; nullopt: none.
std::optional<CniPlugin> FindCniPlugin(absl::string_view program);

// Does what CNI_COMMAND says. The result or error goes to `out`, remarks to `err`. Returns the exit status. The
// connection to the peer is left in `peer`: to close it is to wait for threads of gRPC, which a program that ends need
// not do.
int RunCni(CniPlugin plugin, const CniEnvironment& environment, std::istream& in, std::ostream& out, std::ostream& err,
           std::optional<PeerClient>& peer);

}  // namespace weave
