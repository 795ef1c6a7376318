#include "sim/recurrence.h"

#include <utility>

namespace weave::sim {

void Recurrence::Repeat(Duration mean, std::function<void()> what) {
  if (mean == absl::ZeroDuration()) return;
  const Duration delay = Draw(random_, absl::ZeroDuration(), 2 * mean);
  auto turn = [this, mean, what = std::move(what), round = round_] {
    if (round != round_) return;
    what();
    Repeat(mean, what);
  };
  if (kind_ == Kind::kBackground)
    queue_.AfterInBackground(delay, std::move(turn));
  else
    queue_.After(delay, std::move(turn));
}

}  // namespace weave::sim
