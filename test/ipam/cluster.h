// Allocators of several peers in one world: a clock, a disk for each, messages between them, and an oracle that knows
// which address every caller was told to be its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "base/random.h"
#include "ipam/allocator.h"

namespace weave::test {

// What a driver could get wrong. The tests show that the oracle would notice.
// kVoteForSilent: a vote counts for all that the proposer cannot hear. kForgetVotes: a restart forgets them.
enum class Mutant { kNone, kReplyBeforeDisk, kTellBeforeDisk, kForgetPromises, kVoteForSilent, kForgetVotes };

struct ClusterOptions {
  std::size_t peers = 2;
  std::uint64_t seed = 1;
  std::string range = "10.0.0.0/24";
  // Of each peer, the last one of all that follow. None: all peers are seeds.
  std::vector<IpamBootstrap> bootstraps = {};
  Mutant mutant = Mutant::kNone;
};

inline ConsensusBootstrap Consensus(std::size_t peers) { return {peers}; }

class Cluster {
 public:
  using Index = std::size_t;

  explicit Cluster(ClusterOptions options);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  static PeerName Name(Index i) { return PeerName(i + 1); }
  Allocator& at(Index i) { return *peers_[i].allocator; }
  bool alive(Index i) const { return peers_[i].allocator != nullptr; }
  std::size_t size() const { return peers_.size(); }
  Random& random() { return random_; }
  Now now() const { return now_; }

  // ---- callers ----
  OperationId Do(Index i, IpamOperation operation);
  OperationId Allocate(Index i, const std::string& ident, const std::string& subnet = "");
  OperationId Claim(Index i, const std::string& ident, const std::string& address, bool no_error_on_unknown = false);
  OperationId Release(Index i, const std::string& ident, const std::string& address = "");
  void Cancel(Index i, OperationId id);
  // None: not answered yet.
  const AllocatorReply* ReplyTo(OperationId id) const;
  // Done, and everything settled; "" while it waits, an error's text, or the addresses.
  std::string Text(OperationId id) const;
  std::string Answer(OperationId id);
  // Addresses of a holder, as the allocator says.
  std::string AddressesOf(Index i, const std::string& ident);

  // ---- the world ----
  // Delivers everything and writes everything until nothing is left to do at this time.
  void RunUntilQuiet();
  // Timers and, every 30 s, gossip.
  void RunFor(Duration duration);
  void Gossip(Index from, Index to);
  void GossipAll();
  void Cut(Index a, Index b);
  void Heal();
  void Crash(Index i);
  // A crash that its containers do not survive; it never comes back.
  void Destroy(Index i);
  void Restart(Index i);
  // Whether somebody whom peer `i` was told to dial has not answered yet.
  void SetDialling(Index i, bool dialling) { peers_[i].dialling = dialling; }
  void HoldDisk(Index i, bool hold) { peers_[i].disk_held = hold; }
  void FailDisk(Index i, bool fail) { peers_[i].disk_fails = fail; }
  void FailNextWrite(Index i) { peers_[i].next_write_fails = true; }
  void Resave(Index i);

  // One thing happens, in random order: a message, a write, a timer. False: nothing was there to happen.
  bool Step();
  // Lost on its way, out of order and twice is what Step may do to messages.
  void LoseMessages(bool lose) { lose_messages_ = lose; }

  // ---- what the oracle says ----
  const std::vector<std::string>& violations() const { return violations_; }
  // Connections that ended because the other side was wrong: "to: text".
  const std::vector<std::string>& errors() const { return errors_; }
  // Every caller still has what it was told. Every allocator's invariants hold. What waits is not asked.
  void CheckAll();
  void CheckConverged();
  // The allocators themselves, with whatever they have not told anybody: no address on two peers.
  void CheckHoldings();
  // Somebody alive could give an address of the range that nobody holds.
  bool HasFreeAddress() const;
  // Rings and rows, for failing tests.
  std::string Describe() const;

  const absl::btree_map<std::string, IpamRecord>& disk(Index i) const { return peers_[i].disk; }
  absl::btree_map<std::string, IpamRecord>& disk(Index i) { return peers_[i].disk; }
  // Payloads of unicasts sent so far, for tests of what is said.
  struct Message {
    enum class Kind { kUnicast, kBroadcast, kGossip };
    Index from = 0;
    Index to = 0;
    Kind kind = Kind::kUnicast;
    Bytes payload;
    bool council = false;  // on the council's channel
  };
  const std::deque<Message>& in_flight() const { return messages_; }
  const std::vector<Message>& sent() const { return sent_; }
  std::size_t rows_written(Index i) const { return peers_[i].rows_written; }
  AllocatorConfig ConfigOf(Index i) const { return peers_[i].config; }
  // The next life of a peer has this configuration.
  void Configure(Index i, AllocatorConfig config) { peers_[i].config = std::move(config); }

 private:
  class Directory;
  struct Peer {
    AllocatorConfig config;
    std::unique_ptr<Directory> directory;
    std::unique_ptr<Allocator> allocator;  // null while it is down
    absl::btree_map<std::string, IpamRecord> disk;
    absl::btree_map<IpAddress, std::string> named_by;  // the key of its row on disk
    std::deque<AllocatorOutput> outputs;               // not performed yet, in order
    bool disk_held = false;
    bool disk_fails = false;
    bool next_write_fails = false;
    bool dialling = false;
    std::optional<MonotonicTime> resave_at;
    std::size_t rows_written = 0;
    int lives = 0;
  };
  struct Caller {
    Index peer = 0;
    std::string ident;
    bool wants_address = false;
    std::optional<IpAddress> releases;  // none: all of them
  };

  bool Connected(Index a, Index b) const;
  void Collect(Index i);
  static void Write(Peer& peer, const std::vector<IpamRecordChange>& changes);
  bool PerformNext(Index i);
  void Perform(Index i, const IpamTelling& telling);
  void Deliver(const Message& message);
  void Send(Message message);
  void OnReply(Index i, const AllocatorReply& reply);
  void Use(Index i, const std::string& ident, const IpAddress& address);
  void StopUsing(Index i, const std::string& ident, const std::optional<IpAddress>& address);
  void TellTopology();
  bool FireTimers();
  std::optional<MonotonicTime> NextDeadline() const;

  const ClusterOptions options_;
  Random random_;
  NullLogger logger_;
  Now now_;
  std::vector<Peer> peers_;
  absl::btree_set<std::pair<Index, Index>> cuts_;
  std::deque<Message> messages_;
  std::vector<Message> sent_;
  bool lose_messages_ = false;
  OperationId last_operation_ = 0;
  absl::btree_map<OperationId, Caller> callers_;
  absl::btree_map<OperationId, AllocatorReply> replies_;
  MonotonicTime gossip_at_;

  struct User {
    Index peer = 0;
    std::string ident;
  };
  absl::btree_map<IpAddress, User> in_use_;  // inside the range
  std::vector<std::string> violations_;
  std::vector<std::string> errors_;
};

}  // namespace weave::test
