// The 48-bit name of a peer (spec/mesh.md section 10).
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mac.h"

namespace weave {

class PeerName {
 public:
  // The unknown peer, which no peer may be called.
  constexpr PeerName() = default;
  constexpr explicit PeerName(std::uint64_t value) : value_(value & kMask) {}

  static PeerName FromMac(const MacAddress& mac);

  // Six colon-separated groups of one or two hex digits, either case, or up to four groups with exactly one `::`
  // standing for the zero groups that are missing: `::1`, `a:b::c`. Anything else, and the all-zero name, is
  // InvalidArgument naming the text and the accepted forms.
  static absl::StatusOr<PeerName> Parse(absl::string_view text);

  constexpr std::uint64_t value() const { return value_; }
  constexpr bool known() const { return value_ != 0; }
  MacAddress ToMac() const;

  // `xx:xx:xx:xx:xx:xx`, lower case.
  std::string ToString() const { return ToMac().ToString(); }

  friend constexpr auto operator<=>(PeerName, PeerName) = default;

 private:
  static constexpr std::uint64_t kMask = 0xffff'ffff'ffff;

  std::uint64_t value_ = 0;  // 0..2^48-1; order is numeric
};

inline std::ostream& operator<<(std::ostream& out, PeerName name) { return out << name.ToString(); }

}  // namespace weave
