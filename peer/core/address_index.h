// Who holds which address on this host. One address has one holder, whatever its prefix length.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "base/ip.h"

namespace weave {

// Who holds the host's own addresses (spec/control.md section 6).
inline constexpr char kExposeName[] = "weave:expose";

struct AddressHolder {
  std::string key;   // identity: the holder's record key
  std::string name;  // what a person calls it

  friend bool operator==(const AddressHolder& a, const AddressHolder& b) { return a.key == b.key; }
};

class AddressIndex {
 public:
  // False when somebody else holds the address. The same holder may take it again.
  bool Take(const IpAddress& address, const AddressHolder& holder);

  // The holder must hold it: CHECK.
  void Release(const IpAddress& address, const AddressHolder& holder);

  // Null when free.
  const AddressHolder* HolderOf(const IpAddress& address) const;

  struct Released {
    IpAddress address;
    std::string name;  // the holder's
  };
  // What was released since the last call.
  std::vector<Released> TakeReleased() { return std::exchange(released_, {}); }

  std::size_t size() const { return holders_.size(); }

 private:
  absl::btree_map<IpAddress, AddressHolder> holders_;
  std::vector<Released> released_;
};

}  // namespace weave
