// Threads for what blocks: packet filter, Docker, processes. Results go back to a loop by EventLoop::Post.
#pragma once

#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "io/mutex.h"

namespace weave {

// Tasks start in the order submitted; each runs on one of at most `thread_count` threads, which are started when first
// needed and named `<name>-<index>`. With one thread, tasks run one after the other.
class WorkerPool {
 public:
  // `thread_count` at least 1. `name` is cut to what the kernel shows (15 bytes with the index).
  WorkerPool(absl::string_view name, int thread_count);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs everything submitted, also by running tasks, then joins the threads.
  ~WorkerPool();

  // From any thread. The queue has no bound: who submits bounds what it has outstanding. Tasks must not throw.
  void Submit(absl::AnyInvocable<void()> task);

  // Threads started so far.
  int started_count() const;

 private:
  void Work(int index);

  const std::string name_;
  const int thread_count_;
  mutable Mutex mutex_;
  CondVar changed_;  // of work waiting or the end coming
  CondVar quiet_;    // of the last task having ended
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  int idle_count_ ABSL_GUARDED_BY(mutex_) = 0;
  int running_count_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace weave
