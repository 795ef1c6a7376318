// What the mesh carries for others: a consumer per channel, and state on its way that merges instead of queueing
// (spec/mesh.md section 8).
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/peer_name.h"
#include "base/time.h"

namespace weave {

// State of one channel that waits to be sent over one connection. It is encoded only when the connection can take it,
// so a slow link sends the newest state once.
class GossipData {
 public:
  virtual ~GossipData() = default;

  // Takes in what `other`, of the same channel, would have told.
  virtual void Merge(const GossipData& other) = 0;

  // One payload or several; none when there is nothing to tell (any more).
  virtual std::vector<Bytes> Encode() const = 0;

  virtual std::unique_ptr<GossipData> Clone() const = 0;
};

// The consumer of a channel. Called by the mesh in the turn in which a message arrives; it appends its effects to an
// output of its own and never calls the mesh back. An error means that the sender is wrong: the connection on which the
// message came is closed.
class Gossiper {
 public:
  virtual ~Gossiper() = default;

  // To us alone; `source` is the originator.
  virtual absl::Status OnUnicast(Now now, PeerName source, ByteView payload) = 0;

  // Returns what travels on to everyone behind us, under the originator's name; null: nothing.
  virtual absl::StatusOr<std::unique_ptr<GossipData>> OnBroadcast(Now now, PeerName source, ByteView payload) = 0;

  // `sender` is the neighbour. Returns what was new to us and is passed on; null: nothing, and the epidemic ends here.
  virtual absl::StatusOr<std::unique_ptr<GossipData>> OnGossip(Now now, PeerName sender, ByteView payload) = 0;

  // The complete state, for a new neighbour and for the periodic repair; null: nothing to tell.
  virtual std::unique_ptr<GossipData> FullState(Now now) = 0;

  // What is said here may be a reason to part. A peer of 2.8 that finds it closes the connection without having said
  // anything, so it gets to speak first: then we know the reason, and tell ours before we close.
  virtual bool ListensFirst() const { return false; }
};

// A consumer that finds out what a neighbour lacks instead of telling it everything (docs/mesh.md, "Comparing names").
// Neighbours that cannot do so get the full state.
class ComparingGossiper : public Gossiper {
 public:
  // For the neighbour that a comparison is with; null: nothing.
  struct Answer {
    std::unique_ptr<GossipData> comparison;  // goes on with it
    std::unique_ptr<GossipData> state;       // what the neighbour lacks, in the channel itself
  };

  // Begins a comparison with `neighbour`, instead of FullState; never null.
  virtual std::unique_ptr<GossipData> Digest(Now now, PeerName neighbour) = 0;

  // What a new neighbour is told besides, in the channel itself; null: nothing.
  virtual std::unique_ptr<GossipData> Greeting(Now now, PeerName neighbour) = 0;

  // What `neighbour` says of its state.
  virtual absl::StatusOr<Answer> OnComparison(Now now, PeerName neighbour, ByteView payload) = 0;
};

}  // namespace weave
