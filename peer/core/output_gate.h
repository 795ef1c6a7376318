// Holds effects back until what they depend on is durable. Both drivers, the daemon and the simulator, put every
// PeerOutput through one gate, so the ordering rule is written once.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "peer/core/peer_output.h"

namespace weave {

// A write the driver hands to its disk, in order. It answers each with OutputGate::OnDurable.
struct PendingWrite {
  std::uint64_t sequence = 0;
  std::vector<RecordChange> changes;
};

// Outputs leave in the order they came. An output with records leaves once these are durable, one without leaves once
// all earlier ones have left: a later answer can never tell of a state that a crash would undo. Nothing waits for
// `tidy`, but the core hears when it could not be written.
class OutputGate {
 public:
  // Takes an output; returns the write it asks for, if any.
  std::optional<PendingWrite> Push(PeerOutput output);

  // The write `sequence` is on disk, or failed for good. Sequences arrive in the order they were handed out: CHECK.
  // Call Pop afterwards, also when nothing waited for the write.
  void OnDurable(std::uint64_t sequence, absl::Status status);

  struct Released {
    // OK: perform commands and replies. Otherwise nothing of it happened or may happen: the driver hands the output to
    // PeerCore::OnPersistFailed.
    absl::Status status;
    PeerOutput output;
  };

  // The next output that may be performed now.
  std::optional<Released> Pop();

 private:
  struct Held {
    std::optional<std::uint64_t> waits_for;
    absl::Status status;
    PeerOutput output;
  };

  struct Writing {
    std::uint64_t sequence;
    std::vector<RecordChange> tidy;  // of an output that did not wait for the write
  };

  std::uint64_t next_sequence_ = 1;
  std::deque<Writing> writing_;
  std::deque<Held> held_;
};

}  // namespace weave
