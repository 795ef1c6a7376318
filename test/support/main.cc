// Catch's main, compiled once for all test programs. A test that needs root says so elsewhere and counts as skipped:
// ctest sets WEAVE_TEST_NEEDS_ROOT for it (test/CMakeLists.txt).
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#define CATCH_CONFIG_RUNNER
#include "test/support/catch.h"

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  if (std::getenv("WEAVE_TEST_NEEDS_ROOT") != nullptr && ::geteuid() != 0) {
    std::puts("SKIPPED: needs root");
    return kSkipped;
  }
  return Catch::Session().run(argc, argv);
}
