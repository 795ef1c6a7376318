// A peer's record as the topology keeps it: immutable, shared, and encoded at most once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "absl/container/btree_map.h"
#include "wire/topology.h"

namespace weave {

class PeerRecord {
 public:
  // Brings the connections into the form in which records are kept: sorted by peer, each peer once (the last mention
  // counts, as for a 2.8 peer), neither the unknown peer nor the peer itself.
  explicit PeerRecord(PeerSummary summary);

  const PeerSummary& summary() const { return summary_; }

  // Made when first asked for: most records are replaced before anybody wants to hear them from us. One thread.
  const EncodedSummary& Encoded() const;

 private:
  PeerSummary summary_;
  mutable std::unique_ptr<const EncodedSummary> encoded_;
};

using PeerRecordPtr = std::shared_ptr<const PeerRecord>;

// Lets many topologies in one process, as in a simulation, keep one copy of what they all believe, and decode it once.
// Holds nothing alive.
class PeerRecordPool {
 public:
  PeerRecordPool();

  // The record with exactly this content that somebody holds already, else a new one.
  PeerRecordPtr Share(PeerSummary summary);

  // The record with this encoding, if one was shared not too long ago and somebody still holds it.
  PeerRecordPtr Find(ByteView summary, ByteView connections) const;

  // Records that were in use at the last clean-up or were made since.
  std::size_t size() const { return records_.size(); }

 private:
  using Key =
      std::tuple<PeerName, std::uint64_t, PeerUid>;  // name, version, uid: equal keys hardly ever differ in content

  void DropUnused();
  std::size_t PlaceOf(ByteView summary) const;

  absl::btree_map<Key, std::weak_ptr<const PeerRecord>> records_;
  std::size_t drop_at_ = 1024;                           // size at which to look for records nobody holds
  std::vector<std::weak_ptr<const PeerRecord>> recent_;  // by the hash of their summaries; the last one of each
};

}  // namespace weave
