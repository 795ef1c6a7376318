// The allocator's values: an address handed out and taken back, at different numbers of addresses in use; rings of a
// thousand entries that merge, are applied to the space, reported, encoded and decoded. Medians over rounds.
//
//   ipam_bench
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "ipam/ipam_messages.h"
#include "ipam/ring.h"
#include "ipam/space.h"

namespace weave {
namespace {

constexpr int kRounds = 21;

// Processor time, which busy neighbours do not count in.
double NowNanoseconds() { return static_cast<double>(std::clock()) * (1e9 / CLOCKS_PER_SEC); }

// Nanoseconds of one of `count` calls in a row.
template <typename Call>
double MedianNanoseconds(int count, Call call) {
  std::vector<double> rounds;
  for (int round = 0; round < kRounds; ++round) {
    const double start = NowNanoseconds();
    for (int i = 0; i < count; ++i) call();
    rounds.push_back((NowNanoseconds() - start) / count);
  }
  std::nth_element(rounds.begin(), rounds.begin() + kRounds / 2, rounds.end());
  return rounds[kRounds / 2];
}

void Print(const std::string& what, double nanoseconds) {
  std::printf("%-72s %10.2f us\n", what.c_str(), nanoseconds / 1000);
}

// `used` addresses of a /16 in use. With holes: three in four of those that were given are back.
void BenchSpace(std::uint64_t used, bool holes) {
  const AddressRange universe{IpAddress::V4(0x0a20'0000), 65536};
  Space space;
  space.SetOwned({universe});
  Random random(1);
  std::vector<IpAddress> given;
  while (given.size() < used) given.push_back(*space.Allocate(universe));
  if (holes) {
    for (std::size_t i = given.size(); i > 1; --i) std::swap(given[i - 1], given[random.Below(i)]);
    while (given.size() > used * 3 / 4) {
      space.Free(given.back());
      given.pop_back();
    }
  }
  Ring ring(universe);
  ring.DivideAmong({PeerName(1)});
  const std::string state = std::to_string(given.size()) + " in use" + (holes ? ", with random holes" : "");
  Print("allocate the lowest address, free it: " + state, MedianNanoseconds(2000, [&] {
          const IpAddress address = *space.Allocate(universe);
          space.Free(address);
        }));
  Print("allocate, report, free, report: " + state, MedianNanoseconds(2000, [&] {
          const IpAddress address = *space.Allocate(universe);
          CHECK(ring.ReportFree(PeerName(1), space));
          space.Free(address);
          CHECK(ring.ReportFree(PeerName(1), space));
        }));
}

// Of a thousand entries: every second one ours, one in eight of its addresses in use.
void BenchRing() {
  const PeerName self(1);
  const AddressRange universe{IpAddress::V4(0x0a20'0000), 1 << 20};
  std::vector<RingEntry> entries;
  for (std::uint32_t i = 0; i < 1000; ++i)
    entries.push_back({IpAddress::V4(0x0a20'0000 + i * 1024), i % 2 == 0 ? self : PeerName(2 + i % 100), 1, 1024});
  Ring ring = Ring::Make(universe, entries, {}).value();
  Space space;
  space.SetOwned(ring.RangesOf(self));
  for (const AddressRange& range : ring.RangesOf(self)) {
    for (std::uint32_t i = 0; i < 1024; i += 8) space.Claim(AddressAt(IpFamily::kV4, range.start.value() + i));
  }
  ring.ReportFree(self, space);

  const Ring same = ring;
  Print("merge a ring of 1000 entries without news",
        MedianNanoseconds(200, [&] { CHECK(!ring.Merge(self, same).value()); }));
  Print("merge a ring of 1000 entries with one newer, apply, report", MedianNanoseconds(200, [&] {
          std::vector<RingEntry> newer = ring.entries();
          ++newer[501].version;
          CHECK(ring.Merge(self, Ring::Make(universe, std::move(newer), {}).value()).value());
          space.SetOwned(ring.RangesOf(self));
          ring.ReportFree(self, space);
        }));
  Print("merge a ring of 1000 entries, half of them newer, apply, report", MedianNanoseconds(200, [&] {
          std::vector<RingEntry> newer = ring.entries();
          for (std::size_t i = 1; i < newer.size(); i += 2) ++newer[i].version;
          CHECK(ring.Merge(self, Ring::Make(universe, std::move(newer), {}).value()).value());
          space.SetOwned(ring.RangesOf(self));
          ring.ReportFree(self, space);
        }));
  Print("report the free addresses of 500 own entries, 64000 in use",
        MedianNanoseconds(200, [&] { ring.ReportFree(self, space); }));
  Print("find what to give away, 64000 in use", MedianNanoseconds(200, [&] { space.Donation(universe); }));

  IpamState state;
  for (std::uint64_t name = 1; name <= 100; ++name) state.nicknames[PeerName(name)] = "host" + std::to_string(name);
  state.ring = ring;
  const Bytes bytes = EncodeIpamState(state, self);
  Print("encode a state with 1000 entries", MedianNanoseconds(100, [&] { EncodeIpamState(state, self); }));
  Print("decode it: " + std::to_string(bytes.size()) + " bytes",
        MedianNanoseconds(100, [&] { CHECK(DecodeIpamState(bytes).ok()); }));
}

}  // namespace
}  // namespace weave

int main() {
  for (const bool holes : {false, true}) {
    for (const std::uint64_t used : {0, 10'000, 60'000}) {
      if (used > 0 || !holes) weave::BenchSpace(used, holes);
    }
  }
  weave::BenchRing();
  return 0;
}
