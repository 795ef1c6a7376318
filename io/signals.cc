#include "io/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace weave {

absl::StatusOr<std::unique_ptr<SignalWatch>> SignalWatch::Create(EventLoop& loop, const std::vector<int>& signals,
                                                                 absl::AnyInvocable<void(int)> callback) {
  sigset_t set, previous;
  sigemptyset(&set);
  for (const int signal : signals) sigaddset(&set, signal);
  Fd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "signalfd");
  if (const int err = pthread_sigmask(SIG_BLOCK, &set, &previous); err != 0) return ErrnoError(err, "block signals");
  std::unique_ptr<SignalWatch> watch(new SignalWatch(std::move(fd), previous, std::move(callback)));
  watch->watch_ = loop.WatchReadable(watch->fd_.get(), [watch = watch.get()] { watch->Drain(true); });
  return watch;
}

SignalWatch::SignalWatch(Fd fd, const sigset_t& previous, absl::AnyInvocable<void(int)> callback)
    : fd_(std::move(fd)), previous_(previous), callback_(std::move(callback)) {}

SignalWatch::~SignalWatch() {
  watch_.reset();
  Drain(false);
  pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

void SignalWatch::Drain(bool deliver) {
  signalfd_siginfo info;
  while (::read(fd_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info))
    if (deliver) callback_(static_cast<int>(info.ssi_signo));
}

}  // namespace weave
