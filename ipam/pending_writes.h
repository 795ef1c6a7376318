// Which records were handed out to be written and are not known to be on disk, and which addresses stand or fall with
// them.
//
// Writes succeed or fail in the order in which they were handed out, but one that succeeds may follow one that failed.
// So nothing counts as durable by a later success: a row is durable when no write of it is under way or has failed
// since its last success.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"

namespace weave {

class PendingWrites {
 public:
  // An address that was given out with a row that is not on disk yet.
  struct Fresh {
    IpAddress address;
    std::string ident;  // of its row
  };

  // A new write of these rows, each as it is now; `fresh` are addresses in them. Returns its sequence number, from 1
  // on.
  std::uint64_t Begin(std::vector<std::string> keys, std::vector<Fresh> fresh);

  // Write `sequence` is on disk. Returns the keys that are durable now.
  std::vector<std::string> Succeed(std::uint64_t sequence);
  // It failed. Returns its fresh addresses that no later write carries: nobody was told of them.
  std::vector<Fresh> Fail(std::uint64_t sequence);

  bool IsDurable(absl::string_view key) const { return !under_way_.contains(key) && !unsaved_.contains(key); }
  // Rows whose last write failed, or whose change was not handed out: Resave writes them.
  const absl::btree_set<std::string>& unsaved() const { return unsaved_; }
  void MarkUnsaved(absl::string_view key) { unsaved_.emplace(key); }

  // Until a write with it succeeds.
  bool IsFresh(const IpAddress& address) const { return fresh_.contains(address); }
  void Forget(const IpAddress& address) { fresh_.erase(address); }

 private:
  struct Write {
    std::vector<std::string> keys;
    std::vector<Fresh> fresh;
  };
  struct Latest {
    std::string ident;
    std::uint64_t sequence = 0;
  };

  std::uint64_t last_ = 0;
  absl::btree_map<std::uint64_t, Write> writes_;           // under way
  absl::btree_map<std::string, std::uint64_t> under_way_;  // a key's latest write
  absl::btree_set<std::string> unsaved_;
  absl::btree_map<IpAddress, Latest> fresh_;  // and the latest write that carries it
};

}  // namespace weave
