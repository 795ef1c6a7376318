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

}  // namespace weave
