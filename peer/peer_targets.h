// Peers as a user names them, "host[:port]": checked, and looked up without waiting on the loop.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "io/event_loop.h"
#include "io/resolver.h"
#include "io/worker_pool.h"
#include "mesh/connection_maker.h"

namespace weave {

struct PeerTarget {
  std::string host;        // a name or an address
  std::uint16_t port = 0;  // 0: none was given
};

// `host`, `host:port`, `1.2.3.4:6783`, `[::1]:6783`. InvalidArgument naming the text and what is accepted.
absl::StatusOr<PeerTarget> ParsePeerTarget(absl::string_view text);

// Loop thread only.
class PeerTargetResolver {
 public:
  struct Result {
    std::vector<DirectPeer> peers;     // those that were understood, in order
    std::vector<std::string> failed;   // texts of the others, in order
    std::vector<absl::Status> errors;  // why, one for each of `failed`
  };
  using Callback = absl::AnyInvocable<void(Result)>;

  explicit PeerTargetResolver(EventLoop& loop);

  // Answers once, not from within this call.
  void Resolve(std::vector<std::string> texts, Callback callback);

 private:
  struct Lookup;

  EventLoop& loop_;
  WorkerPool workers_;
  Resolver resolver_;
};

}  // namespace weave
