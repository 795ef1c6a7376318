#include "overlay/mac_cache.h"

#include <array>

#include "test/support/catch.h"

namespace weave {
namespace {

using Learnt = MacCache::Learnt;

const PeerName kSelf(1);
const PeerName kOther(2);
constexpr Duration kRest = absl::Milliseconds(500);

MacAddress Mac(std::uint32_t number) {
  return MacAddress(std::array<std::uint8_t, 6>{
      2, 0, static_cast<std::uint8_t>(number >> 24), static_cast<std::uint8_t>(number >> 16),
      static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

MonotonicTime At(Duration time) { return MonotonicTime() + time; }

TEST_CASE("A MAC is at the peer it was last seen at, for ten minutes", "[overlay]") {
  MacCache macs;
  CHECK_FALSE(macs.Find(Mac(1)).has_value());
  CHECK(macs.Learn(At(absl::ZeroDuration()), Mac(1), kSelf, kRest) == Learnt::kNew);
  CHECK(macs.Find(Mac(1)) == kSelf);
  CHECK(macs.Learn(At(absl::Minutes(5)), Mac(1), kSelf, kRest) == Learnt::kKnown);  // renews it
  macs.Sweep(At(absl::Minutes(14)));
  CHECK(macs.Find(Mac(1)) == kSelf);
  macs.Sweep(At(absl::Minutes(15)));
  CHECK_FALSE(macs.Find(Mac(1)).has_value());
}

TEST_CASE("A MAC moves when it has been quiet where it was", "[overlay]") {
  MacCache macs;
  macs.Learn(At(absl::ZeroDuration()), Mac(1), kOther, absl::ZeroDuration());
  CHECK(macs.Learn(At(absl::Milliseconds(499)), Mac(1), kSelf, kRest) == Learnt::kElsewhere);
  CHECK(macs.Find(Mac(1)) == kOther);
  CHECK(macs.Learn(At(absl::Milliseconds(500)), Mac(1), kSelf, kRest) == Learnt::kMoved);
  CHECK(macs.Find(Mac(1)) == kSelf);
  CHECK(macs.Learn(At(absl::Milliseconds(500)), Mac(1), kOther, absl::ZeroDuration()) == Learnt::kMoved);
}

TEST_CASE("A full cache learns nothing new until entries have rested for a minute", "[overlay]") {
  MacCache macs;
  const auto count = static_cast<std::uint32_t>(MacCache::kMaxCount);
  for (std::uint32_t i = 0; i < count; ++i) macs.Learn(At(absl::ZeroDuration()), Mac(i), kSelf, kRest);
  CHECK(macs.size() == MacCache::kMaxCount);
  CHECK(macs.Learn(At(absl::Seconds(59)), Mac(count), kSelf, kRest) == Learnt::kFull);
  CHECK(macs.Learn(At(absl::Seconds(59)), Mac(0), kSelf, kRest) == Learnt::kKnown);
  CHECK(macs.size() == MacCache::kMaxCount);
  CHECK(macs.Learn(At(absl::Seconds(61)), Mac(count), kSelf, kRest) == Learnt::kNew);
  CHECK(macs.size() == 2);
  CHECK(macs.Find(Mac(0)) == kSelf);
}

}  // namespace
}  // namespace weave
