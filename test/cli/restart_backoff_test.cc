#include "cli/restart_backoff.h"

#include "test/support/catch.h"

namespace weave {

TEST_CASE("The wait before a restart doubles from 100 ms to a minute", "[cli]") {
  RestartBackoff backoff;
  Duration expected = absl::Milliseconds(100);
  for (int i = 0; i < 10; ++i, expected *= 2) CHECK(backoff.Next(absl::Seconds(9)) == expected);
  for (int i = 0; i < 3; ++i) CHECK(backoff.Next(absl::ZeroDuration()) == absl::Minutes(1));
}

TEST_CASE("A life of 10 s starts the waits anew", "[cli]") {
  RestartBackoff backoff;
  for (int i = 0; i < 20; ++i) backoff.Next(absl::ZeroDuration());
  CHECK(backoff.Next(absl::Seconds(10)) == absl::Milliseconds(100));
  CHECK(backoff.Next(absl::ZeroDuration()) == absl::Milliseconds(200));
}

}  // namespace weave
