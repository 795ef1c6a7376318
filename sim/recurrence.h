// What happens again and again, on average every so often, in rounds that end.
#pragma once

#include <cstdint>
#include <functional>

#include "base/random.h"
#include "base/time.h"
#include "sim/event_queue.h"

namespace weave::sim {

class Recurrence {
 public:
  // kBackground: no work that a peer at rest has left (EventQueue::AfterInBackground).
  enum class Kind { kWork, kBackground };

  // References outlive it.
  Recurrence(EventQueue& queue, Random& random, Kind kind = Kind::kWork)
      : queue_(queue), random_(random), kind_(kind) {}
  Recurrence(const Recurrence&) = delete;
  Recurrence& operator=(const Recurrence&) = delete;

  // What was to be repeated until now is off.
  void NewRound() { ++round_; }
  // In this round; a mean of zero: never.
  template <typename T>
  void Repeat(Duration mean, T& object, void (T::*what)()) {
    Repeat(mean, [&object, what] { (object.*what)(); });
  }

 private:
  void Repeat(Duration mean, std::function<void()> what);

  EventQueue& queue_;
  Random& random_;
  const Kind kind_;
  std::uint64_t round_ = 0;
};

}  // namespace weave::sim
