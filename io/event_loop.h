// The event loop on which one thread owns the core and its sockets (docs/architecture.md, "Threads"). Boost.Asio stays
// in event_loop.cc.
//
// A turn: sleep until something is ready, sample both clocks once, run the callbacks of every ready descriptor, then
// of every timer that is due (by deadline, equal ones in the order they were armed), then every task posted so far (in
// order), then the end-of-turn callback. What such a callback causes for its own kind (a task posted by a task, a timer
// armed by a timer, a descriptor still readable) belongs to the next turn, so that every turn ends.
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "base/time.h"
#include "io/clock.h"

namespace weave {

// A one-shot alarm; arming again moves it. Made by EventLoop, destroyed before it, used on its thread only. The
// callback may arm, disarm or destroy its own timer or others.
class Timer {
 public:
  virtual ~Timer() = default;
  virtual void Arm(MonotonicTime deadline) = 0;
  virtual void Disarm() = 0;
  virtual bool armed() const = 0;
};

// Calls back once a turn while a descriptor is readable (or at its end) or writable, and either way while it is in
// error; destroying it ends that. It does not own the descriptor, which must stay open for as long. Made by EventLoop,
// destroyed before it, on its thread only; the callback may destroy it.
class FdWatch {
 public:
  virtual ~FdWatch() = default;
};

// Told about each turn, on the loop thread; must be quick and must not call the loop.
class TurnObserver {
 public:
  virtual ~TurnObserver() = default;
  virtual void OnTurnBegin(Now now) = 0;
  virtual void OnTurnEnd() = 0;
};

// Thread: Post, Stop and OnLoopThread from any; the rest on the loop thread, which is the one in Run(), or any one
// thread while Run() is not running (checked by CHECK). Callbacks must not throw and must not block.
class EventLoop {
 public:
  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Destroys tasks that were posted and never run, unrun.
  ~EventLoop();

  // Runs turns on the calling thread until Stop(). May be called again afterwards.
  void Run();

  // Ends Run() after the current turn, its end-of-turn callback included. Before Run(): it runs one turn at most.
  void Stop();

  // Runs `task` in the next turn. The queue has no bound: who posts bounds what it has outstanding.
  void Post(absl::AnyInvocable<void()> task);

  // The sample of this turn.
  Now now() const;

  std::unique_ptr<Timer> MakeTimer(absl::AnyInvocable<void()> callback);

  // `fd` must be one that epoll accepts: socket, pipe, eventfd, signalfd, ...; not a regular file (CHECK). At most one
  // watch of each kind for a descriptor at a time (CHECK); one made in a turn calls back in the next at the earliest.
  std::unique_ptr<FdWatch> WatchReadable(int fd, absl::AnyInvocable<void()> callback);
  std::unique_ptr<FdWatch> WatchWritable(int fd, absl::AnyInvocable<void()> callback);

  // Replaces the callback that ends each turn.
  void SetEndOfTurn(absl::AnyInvocable<void()> callback);

  // Null for none. The observer outlives the loop or is taken off first.
  void SetTurnObserver(TurnObserver* observer);

  // True on the thread inside Run(); on every thread while nobody is.
  bool OnLoopThread() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weave
