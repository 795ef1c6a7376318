// Signals as events of the loop, by signalfd: no handler, nothing to do in an interrupted thread.
#pragma once

#include <signal.h>

#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "io/event_loop.h"
#include "io/fd.h"

namespace weave {

// The signals stay blocked, for this thread and every one it starts later, while the watch exists. So make it before
// any other thread; destroy it on the same thread, which then gets its old mask back (a signal of these that arrived
// and was not delivered is dropped).
class SignalWatch {
 public:
  // `callback` gets the signal's number, on the loop; equal signals that arrive together count once.
  static absl::StatusOr<std::unique_ptr<SignalWatch>> Create(EventLoop& loop, const std::vector<int>& signals,
                                                             absl::AnyInvocable<void(int)> callback);

  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  ~SignalWatch();

 private:
  SignalWatch(Fd fd, const sigset_t& previous, absl::AnyInvocable<void(int)> callback);
  void Drain(bool deliver);

  Fd fd_;
  sigset_t previous_;
  absl::AnyInvocable<void(int)> callback_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace weave
