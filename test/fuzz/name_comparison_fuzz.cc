// Fuzz target: a name comparison of a neighbour. What is read can be written and is then read as the same; the answer
// to it can be read by the neighbour, and teaches the registry nothing.
#include <cstdint>

#include "base/check.h"
#include "base/log.h"
#include "dns/name_comparison.h"
#include "dns/name_registry.h"

namespace weave {
namespace {

struct Everybody final : KnownPeers {
  bool IsKnown(PeerName) const override { return true; }
};

void CheckAnswer(const ComparingGossiper::Answer& answer) {
  if (answer.comparison != nullptr)
    for (const Bytes& payload : answer.comparison->Encode()) CHECK(DecodeNameComparison(payload).ok());
  if (answer.state != nullptr)
    for (const Bytes& payload : answer.state->Encode()) CHECK(DecodeNames(payload).ok());
}

void Hear(PeerName self, ByteView payload, const NameComparison& comparison) {
  NullLogger logger;
  Everybody peers;
  NameRegistry names(self, "weave.local.", peers, logger);
  for (std::uint32_t i = 0; i < 200; ++i) names.Add("c", i, "host" + std::to_string(i) + ".weave.local");
  const NameSum before = names.SumOf(kAllNames);
  const Now now{MonotonicTime(0), absl::FromUnixSeconds(comparison.timestamp)};
  const absl::StatusOr<ComparingGossiper::Answer> answer = names.OnComparison(now, PeerName(2), payload);
  CHECK(answer.ok()) << answer.status();
  CheckAnswer(*answer);
  CHECK(names.SumOf(kAllNames) == before) << "a comparison taught us something";
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const weave::ByteView payload(data, size);
  const absl::StatusOr<weave::NameComparison> comparison = weave::DecodeNameComparison(payload);
  if (!comparison.ok()) {
    CHECK(comparison.status().code() == absl::StatusCode::kInvalidArgument) << comparison.status();
    return 0;
  }
  CHECK(comparison->sums.size() + comparison->wanted.size() <= size) << "more parts than bytes";
  const auto again = weave::DecodeNameComparison(weave::EncodeNameComparison(*comparison));
  CHECK(again.ok() && *again == *comparison) << "a comparison changed on its way out and back";
  if (comparison->timestamp < 0 || comparison->timestamp >= 1LL << 40) return 0;
  for (const std::uint64_t self : {1, 3}) weave::Hear(weave::PeerName(self), payload, *comparison);
  return 0;
}
