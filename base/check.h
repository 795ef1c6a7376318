// CHECK(condition) << "context": our own invariant. A failure prints the place and the context to standard error and
// aborts, in every build. Bad input from outside is never a CHECK (docs/architecture.md, "Errors").
#pragma once

#include <sstream>

namespace weave {

class CheckFailure {
 public:
  CheckFailure(const char* condition, const char* file, int line);
  CheckFailure(const CheckFailure&) = delete;
  CheckFailure& operator=(const CheckFailure&) = delete;
  [[noreturn]] ~CheckFailure();

  std::ostream& stream() { return text_; }

 private:
  std::ostringstream text_;
};

// Lets the two branches of CHECK have one type.
struct CheckVoidify {
  void operator&(std::ostream&) const {}
};

}  // namespace weave

#define WEAVE_CHECK(condition)       \
  (condition) ? static_cast<void>(0) \
              : ::weave::CheckVoidify() & ::weave::CheckFailure(#condition, __FILE__, __LINE__).stream()

#ifndef CHECK  // tests have one of their framework's; helpers of theirs that must not use it say WEAVE_CHECK
#define CHECK(condition) WEAVE_CHECK(condition)
#endif
