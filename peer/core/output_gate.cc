#include "peer/core/output_gate.h"

#include "base/check.h"

namespace weave {
namespace {

RecordChange ToRecordChange(const IpamRecordChange& change) {
  RecordChange result{change.key, std::nullopt};
  if (change.value.has_value()) result.value = ToRecord(*change.value);
  return result;
}

}  // namespace

std::optional<PendingWrite> OutputGate::Push(PeerOutput output) {
  if (output.empty()) return std::nullopt;
  std::optional<PendingWrite> write;
  const bool waits = !output.persist.empty() || !output.ipam.persist.empty();
  if (waits || !output.tidy.empty()) {
    write = PendingWrite{next_sequence_++, output.tidy};
    write->changes.insert(write->changes.end(), output.persist.begin(), output.persist.end());
    for (const IpamRecordChange& change : output.ipam.persist) write->changes.push_back(ToRecordChange(change));
    writing_.push_back({write->sequence, waits ? std::vector<RecordChange>{} : std::move(output.tidy)});
    if (!waits) output.tidy.clear();
  }
  std::optional<std::uint64_t> waits_for;
  if (waits) waits_for = write->sequence;
  if (!output.empty()) held_.push_back({waits_for, absl::OkStatus(), std::move(output)});
  return write;
}

void OutputGate::OnDurable(std::uint64_t sequence, absl::Status status) {
  CHECK(!writing_.empty() && writing_.front().sequence == sequence)
      << "durable " << sequence << ", expected " << (writing_.empty() ? 0 : writing_.front().sequence);
  Writing written = std::move(writing_.front());
  writing_.pop_front();
  if (!written.tidy.empty()) {
    if (status.ok()) return;
    PeerOutput lost;
    lost.tidy = std::move(written.tidy);
    held_.push_back({std::nullopt, std::move(status), std::move(lost)});
    return;
  }
  for (Held& held : held_) {
    if (held.waits_for != sequence) continue;
    held.waits_for.reset();
    held.status = std::move(status);
    return;
  }
  CHECK(false) << "nothing waits for write " << sequence;
}

std::optional<OutputGate::Released> OutputGate::Pop() {
  if (held_.empty() || held_.front().waits_for.has_value()) return std::nullopt;
  Released released{std::move(held_.front().status), std::move(held_.front().output)};
  held_.pop_front();
  return released;
}

}  // namespace weave
