// Which rows perhaps still say, on disk, that an address is somebody's who has released it.
//
// A row is stale until a write of it succeeds; meanwhile the address may have had several holders, none of whose rows
// got there. Whoever starts from such a disk must not find one address in two rows.
#pragma once

#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"

namespace weave {

class StaleRows {
 public:
  void Add(const IpAddress& address, absl::string_view ident);
  // The row of `ident` is on disk as it is now. Returns the addresses that no stale row names any more.
  std::vector<IpAddress> Remove(absl::string_view ident);

  bool Name(const IpAddress& address) const { return idents_.contains(address); }
  // The holders whose rows name it.
  std::vector<std::string> IdentsOf(const IpAddress& address) const;
  const absl::btree_map<IpAddress, absl::btree_set<std::string>>& all() const { return idents_; }

 private:
  absl::btree_map<IpAddress, absl::btree_set<std::string>> idents_;  // none is empty
  absl::btree_map<std::string, absl::btree_set<IpAddress>> addresses_;
};

}  // namespace weave
