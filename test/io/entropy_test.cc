#include "io/entropy.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("The kernel fills all that it is asked to, differently each time", "[io]") {
  KernelEntropy entropy;
  // 300: more than one call of getrandom is bound to give. No byte stays 0 in all of twenty fillings.
  Bytes seen(300);
  for (int i = 0; i < 20; ++i) {
    Bytes bytes(seen.size());
    entropy.Fill(absl::MakeSpan(bytes));
    for (std::size_t j = 0; j < bytes.size(); ++j) seen[j] |= bytes[j];
  }
  CHECK(std::find(seen.begin(), seen.end(), 0) == seen.end());

  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 1000; ++i) numbers.insert(entropy.Next());
  CHECK(numbers.size() == 1000);
  entropy.Fill({});
}

}  // namespace
}  // namespace weave
