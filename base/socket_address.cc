#include "base/socket_address.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {

absl::StatusOr<SocketAddress> SocketAddress::Parse(absl::string_view text) {
  const auto invalid = [text] {
    return absl::InvalidArgumentError(absl::StrCat("invalid address \"", text, "\": want IP:PORT"));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return invalid();
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);

  const absl::StatusOr<IpAddress> ip = IpAddress::Parse(host);
  if (!ip.ok() || ip->IsV4() == bracketed) return invalid();
  std::uint32_t port = 0;
  if (port_text.empty() || port_text.size() > 5 || port_text.find_first_not_of("0123456789") != port_text.npos ||
      !absl::SimpleAtoi(port_text, &port) || port > 65535)
    return invalid();
  return SocketAddress{*ip, static_cast<std::uint16_t>(port)};
}

std::string SocketAddress::ToString() const {
  return ip.IsV4() ? absl::StrCat(ip.ToString(), ":", port) : absl::StrCat("[", ip.ToString(), "]:", port);
}

}  // namespace weave
