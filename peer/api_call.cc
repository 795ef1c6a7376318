#include "peer/api_call.h"

#include <utility>

#include "absl/base/thread_annotations.h"
#include "io/mutex.h"

namespace weave {

struct ApiCall::Gone {
  Mutex mutex;
  bool gone ABSL_GUARDED_BY(mutex) = false;
  absl::AnyInvocable<void()> callback ABSL_GUARDED_BY(mutex);
};

class ApiCall::Reactor final : public grpc::ServerUnaryReactor {
 public:
  explicit Reactor(std::shared_ptr<Gone> gone) : gone_(std::move(gone)) {}

  void OnDone() override { delete this; }

  void OnCancel() override {
    absl::AnyInvocable<void()> callback;
    {
      const MutexLock lock(&gone_->mutex);
      gone_->gone = true;
      callback = std::move(gone_->callback);
    }
    if (callback) callback();
  }

 private:
  const std::shared_ptr<Gone> gone_;
};

std::pair<grpc::ServerUnaryReactor*, std::shared_ptr<ApiCall>> ApiCall::Make() {
  auto gone = std::make_shared<Gone>();
  auto* reactor = new Reactor(gone);
  return {reactor, std::shared_ptr<ApiCall>(new ApiCall(reactor, std::move(gone)))};
}

ApiCall::~ApiCall() { Finish(absl::UnavailableError("the peer is stopping")); }

void ApiCall::Finish(const absl::Status& status) {
  if (Reactor* reactor = reactor_.exchange(nullptr)) reactor->Finish(ToGrpcStatus(status));
}

void ApiCall::OnGone(absl::AnyInvocable<void()> callback) {
  {
    const MutexLock lock(&gone_->mutex);
    if (!gone_->gone) {
      gone_->callback = std::move(callback);
      return;
    }
  }
  callback();
}

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const grpc::StatusCode code =
      absl::IsDeadlineExceeded(status) ? grpc::StatusCode::UNAVAILABLE : static_cast<grpc::StatusCode>(status.code());
  return grpc::Status(code, std::string(status.message()));
}

}  // namespace weave
