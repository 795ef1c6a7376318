// Who holds which address: the rows of the allocator, and the way from an address to its holder.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "ipam/ipam_records.h"

namespace weave {

// An address has one holder at most. Nothing here knows what is owned or free: that is Space.
class Holdings {
 public:
  const absl::btree_map<std::string, AllocationRecord>& all() const { return records_; }
  const absl::btree_map<IpAddress, std::string>& holders() const { return holders_; }

  const AllocationRecord* Find(absl::string_view ident) const;
  // None: nobody holds it.
  std::optional<std::string> HolderOf(const IpAddress& address) const;
  // The address as it was given, with its prefix length.
  std::optional<Cidr> CidrOf(const IpAddress& address) const;
  // Addresses of `ident`; those inside `subnet` only, where one is given.
  std::vector<Cidr> Lookup(absl::string_view ident, const std::optional<Cidr>& subnet) const;

  // `address` has no holder.
  void Add(absl::string_view ident, const Cidr& address, bool is_container, Upkeep upkeep);
  // True when that was not known.
  bool MarkContainer(absl::string_view ident);
  // True when it was another.
  bool SetUpkeep(absl::string_view ident, Upkeep upkeep);
  // `ident` holds `address`.
  void Remove(absl::string_view ident, const IpAddress& address);

  absl::Status CheckInvariants() const;

 private:
  absl::btree_map<std::string, AllocationRecord> records_;
  absl::btree_map<IpAddress, std::string> holders_;
};

}  // namespace weave
