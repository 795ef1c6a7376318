// One gRPC call on its way through other threads: it is finished exactly once, whatever becomes of those who hold it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

namespace weave {

// Shared by the steps of a call; any thread. The first Finish wins. When the last step lets go without one, for example
// because the loop stopped with the step still posted, the caller gets Unavailable. After a finish the request and
// reply messages are gone: a step that may come later asks finished() first, on the thread that finishes late calls.
class ApiCall {
 public:
  // The reactor to hand to gRPC, and the call that finishes it.
  static std::pair<grpc::ServerUnaryReactor*, std::shared_ptr<ApiCall>> Make();

  ~ApiCall();
  ApiCall(const ApiCall&) = delete;
  ApiCall& operator=(const ApiCall&) = delete;

  // The reply message must be filled before.
  void Finish(const absl::Status& status);
  bool finished() const { return reactor_.load() == nullptr; }

  // Runs `callback` on a gRPC thread when the caller goes before the answer; at once if it has gone.
  void OnGone(absl::AnyInvocable<void()> callback);

 private:
  class Reactor;
  struct Gone;

  ApiCall(Reactor* reactor, std::shared_ptr<Gone> gone) : reactor_(reactor), gone_(std::move(gone)) {}

  std::atomic<Reactor*> reactor_;  // deletes itself after Finish; null from then on
  std::shared_ptr<Gone> gone_;
};

// absl and gRPC number their codes alike. DeadlineExceeded becomes UNAVAILABLE: on the wire the former is the client's
// own word for a peer that does not answer, and here it is the peer that waited, say for Docker.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace weave
