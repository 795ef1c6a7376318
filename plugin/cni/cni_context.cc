#include "plugin/cni/cni_context.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "plugin/cni/cni_error.h"

namespace weave {

absl::StatusOr<PeerClient*> PeerOf(CniContext& context) {
  if (context.peer) return &*context.peer;
  absl::StatusOr<PeerClient> client = PeerClient::Connect(ApiSocketOf(context.environment));
  if (!client.ok())
    return CniFailure(CniCode::kTryAgainLater, "the weave peer of this host does not answer",
                      client.status().message());
  return &context.peer.emplace(*std::move(client));
}

absl::Status RemoveInterface(CniContext& context, Netlink& netlink, int link_index, absl::string_view name) {
  const absl::StatusOr<PeerClient*> peer = PeerOf(context);
  if (peer.ok() && (*peer)->RemoveInterface(link_index, name).ok()) return absl::OkStatus();
  return netlink.DeleteLink(link_index);
}

}  // namespace weave
