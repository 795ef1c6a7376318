// Host names to addresses without waiting on the loop: the system's resolver (files, DNS, whatever nsswitch.conf says)
// on worker threads.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "io/event_loop.h"
#include "io/worker_pool.h"

namespace weave {

// On the loop's thread. Loop and pool outlive it; the pool is gone before the loop (its tasks post to it).
class Resolver {
 public:
  // Lookups that workers have been asked for; the system's resolver takes as long as it likes.
  static constexpr int kMaxOutstanding = 64;

  // The addresses, at least one, without repetition, all IPv4 before all IPv6, otherwise in the resolver's order.
  // Errors name the host:
  //   InvalidArgument     no host name and no address
  //   NotFound            there is no such host, or it has no address
  //   ResourceExhausted   kMaxOutstanding lookups are under way
  //   Unavailable         the resolver cannot say now
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::vector<IpAddress>>)>;

  Resolver(EventLoop& loop, WorkerPool& pool);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Outstanding lookups are never answered; those not begun are not made.
  ~Resolver();

  // Answers once, in a later turn or later in this one, but not from within this call. An address in text form needs no
  // worker. The result is for Cancel.
  std::uint64_t Resolve(absl::string_view host, Callback callback);

  // The callback is not called any more, and is destroyed. A lookup that is answered or unknown: nothing.
  void Cancel(std::uint64_t lookup);

 private:
  struct State;

  EventLoop& loop_;
  WorkerPool& pool_;
  const std::shared_ptr<State> state_;  // tasks that outlive us hold it weakly
};

}  // namespace weave
