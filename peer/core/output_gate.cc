#include "peer/core/output_gate.h"

#include "base/check.h"

namespace weave {

std::optional<PendingWrite> OutputGate::Push(PeerOutput output) {
  if (output.empty()) return std::nullopt;
  PendingWrite write{std::nullopt, output.persist};
  if (!output.persist.empty()) write.sequence = next_sequence_++;
  write.changes.insert(write.changes.end(), output.tidy.begin(), output.tidy.end());
  held_.push_back({write.sequence, absl::OkStatus(), std::move(output)});
  if (write.changes.empty()) return std::nullopt;
  return write;
}

void OutputGate::OnDurable(std::uint64_t sequence, absl::Status status) {
  for (Held& held : held_) {
    if (!held.waits_for.has_value()) continue;
    CHECK(*held.waits_for == sequence) << "durable " << sequence << ", expected " << *held.waits_for;
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
