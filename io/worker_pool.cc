#include "io/worker_pool.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {

WorkerPool::WorkerPool(absl::string_view name, int thread_count) : name_(name), thread_count_(thread_count) {
  CHECK(thread_count >= 1) << thread_count;
}

WorkerPool::~WorkerPool() {
  std::vector<std::thread> threads;
  {
    // A running task may submit another, which may start a thread: wait for quiet before taking the list.
    const MutexLock lock(&mutex_);
    while (!tasks_.empty() || running_count_ > 0) quiet_.Wait(&mutex_);
    closing_ = true;
    threads.swap(threads_);
  }
  changed_.SignalAll();
  for (std::thread& thread : threads) thread.join();
}

void WorkerPool::Submit(absl::AnyInvocable<void()> task) {
  const MutexLock lock(&mutex_);
  CHECK(!closing_) << "a task for the pool \"" << name_ << "\", which is being destroyed";
  tasks_.push_back(std::move(task));
  changed_.Signal();
  const int started = static_cast<int>(threads_.size());
  if (static_cast<int>(tasks_.size()) > idle_count_ && started < thread_count_) {
    try {
      threads_.emplace_back([this, started] { Work(started); });
      ++idle_count_;
    } catch (const std::system_error& error) {
      // Out of threads: those that run take the task; without any, nothing ever would.
      CHECK(started > 0) << "start a thread of the pool \"" << name_ << "\": " << error.what();
    }
  }
}

int WorkerPool::started_count() const {
  const MutexLock lock(&mutex_);
  return static_cast<int>(threads_.size());
}

void WorkerPool::Work(int index) {
  const std::string suffix = absl::StrCat("-", index);
  pthread_setname_np(pthread_self(), absl::StrCat(name_.substr(0, 15 - suffix.size()), suffix).c_str());
  // Signals belong to the loop; a worker's system call is not to be interrupted by one.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);

  const MutexLock lock(&mutex_);
  while (true) {
    while (tasks_.empty() && !closing_) changed_.Wait(&mutex_);
    if (tasks_.empty()) return;
    absl::AnyInvocable<void()> task = std::move(tasks_.front());
    tasks_.pop_front();
    --idle_count_;
    ++running_count_;
    mutex_.Unlock();
    task();
    task = nullptr;  // what it captured goes before anyone may think it done
    mutex_.Lock();
    --running_count_;
    ++idle_count_;
    if (tasks_.empty() && running_count_ == 0) quiet_.SignalAll();
  }
}

}  // namespace weave
