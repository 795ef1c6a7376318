// An IP address with a port, as transports use it and as connection records show it.
#pragma once

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"

namespace weave {

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;

  // `1.2.3.4:6783` or `[::1]:6783`; the port is 0..65535. Anything else is InvalidArgument naming the text.
  static absl::StatusOr<SocketAddress> Parse(absl::string_view text);

  std::string ToString() const;

  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const SocketAddress& address) { return out << address.ToString(); }

}  // namespace weave
