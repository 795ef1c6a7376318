#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace weave {

CheckFailure::CheckFailure(const char* condition, const char* file, int line) {
  text_ << file << ":" << line << ": CHECK failed: " << condition << " ";
}

CheckFailure::~CheckFailure() {
  std::fputs((text_.str() + "\n").c_str(), stderr);
  std::fflush(stderr);
  std::abort();
}

}  // namespace weave
