#include "sim/ipam_mutant.h"

#include <algorithm>
#include <utility>

namespace weave::sim {

AllocatorOutput TakeEarly(IpamMutant mutant, AllocatorOutput& output) {
  AllocatorOutput early;
  if (mutant == IpamMutant::kAnswerBeforeDurable) early.replies = std::exchange(output.replies, {});
  if (mutant == IpamMutant::kTellBeforeDurable) early.telling = std::exchange(output.telling, {});
  if (mutant == IpamMutant::kFreeBeforeDurable && output.telling.state == nullptr &&
      std::any_of(output.persist.begin(), output.persist.end(),
                  [](const IpamRecordChange& change) { return !change.value.has_value(); }))
    early.telling.sequence = std::exchange(output.telling.sequence, 0);
  if (mutant == IpamMutant::kTellNothing) {
    output.telling.unicasts.clear();
    output.telling.broadcast = false;
  }
  return early;
}

void Forget(IpamMutant mutant, std::vector<Record>& records) {
  if (mutant == IpamMutant::kForgetPromises)
    std::erase_if(records, [](const Record& record) { return std::holds_alternative<PaxosRecord>(record); });
  if (mutant != IpamMutant::kForgetVotes) return;
  for (Record& record : records)
    if (auto* ring = std::get_if<RingRecord>(&record); ring != nullptr && ring->council.has_value())
      ring->council->claim = {};
}

}  // namespace weave::sim
