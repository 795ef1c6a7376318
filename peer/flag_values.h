// Values of flags: text in, a checked value out. Every error is InvalidArgument, one line that quotes the text and says
// what is accepted; the caller adds which flag it was.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/peer_name.h"
#include "base/time.h"
#include "peer/flags.h"

namespace weave {

// `text` in quotes, escaped and cut so that an error stays one line.
std::string QuoteForError(absl::string_view text);

// `"text" is not WANTED`.
absl::Status BadValue(absl::string_view text, absl::string_view wanted);

// The ten spellings of Go's strconv.ParseBool.
absl::StatusOr<bool> ParseFlagBool(absl::string_view text);

// Decimal digits with an optional minus.
absl::StatusOr<int> ParseFlagInt(absl::string_view text, int low, int high);

template <int kLow, int kHigh>
absl::StatusOr<int> ParseFlagInt(absl::string_view text) {
  return ParseFlagInt(text, kLow, kHigh);
}

// 0 or a size an IPv4 link can have.
absl::StatusOr<int> ParseMtu(absl::string_view text);

// Go's: `1.5s`, `1m30s`; above zero.
absl::StatusOr<Duration> ParsePositiveDuration(absl::string_view text);

absl::StatusOr<LogLevel> ParseFlagLogLevel(absl::string_view text);

// Anything, blank included; without control characters.
absl::StatusOr<std::string> ParseText(absl::string_view text);
// Anything at all: errors never quote it.
absl::StatusOr<std::string> ParseSecret(absl::string_view text);

absl::StatusOr<std::string> ParsePath(absl::string_view text);
absl::StatusOr<std::string> ParseOptionalPath(absl::string_view text);
// An absolute path that fits into a socket address.
absl::StatusOr<std::string> ParseSocketPath(absl::string_view text);
absl::StatusOr<std::string> ParseOptionalSocketPath(absl::string_view text);

// A name Linux gives to a network interface: 1 to 15 bytes without `/`, `:` and blanks.
absl::StatusOr<std::string> ParseInterfaceName(absl::string_view text);
absl::StatusOr<std::string> ParseOptionalInterfaceName(absl::string_view text);

// Host name or IP address; blank: all.
absl::StatusOr<std::string> ParseOptionalHost(absl::string_view text);
// [host]:port with port 0..65535.
absl::StatusOr<std::string> ParseHostPort(absl::string_view text);
// ParseHostPort, the absolute path of a socket, or blank.
absl::StatusOr<std::string> ParseListenAddress(absl::string_view text);
// host[:port], `[ip6]` included (contract A1-09).
absl::StatusOr<std::string> ParsePeerAddress(absl::string_view text);
// Comma-separated; blank: none.
absl::StatusOr<std::vector<std::string>> ParsePeerAddresses(absl::string_view text);
// unix:///path, tcp://host:port, http://host:port, or blank.
absl::StatusOr<std::string> ParseDockerApi(absl::string_view text);
// unix:///path, /path, tcp://host:port or host:port (contract A10-01).
absl::StatusOr<std::string> ParseProxyAddress(absl::string_view text);
absl::StatusOr<std::string> ParseHttpUrl(absl::string_view text);
// With or without the final dot, which is added.
absl::StatusOr<std::string> ParseDomain(absl::string_view text);
// RE2, which is Go's syntax.
absl::StatusOr<std::string> ParseRegexp(absl::string_view text);

// IPv4 network of at least 4 addresses without host bits (spec/ipam.md section 1); blank: none.
absl::StatusOr<std::optional<Cidr>> ParseOptionalSubnet(absl::string_view text);
// Comma-separated networks, host bits cleared; blank: none.
absl::StatusOr<std::vector<Cidr>> ParseNetworks(absl::string_view text);
absl::StatusOr<std::optional<PeerName>> ParseOptionalPeerName(absl::string_view text);
// consensus[=count], seed=name,.., observer; blank: none.
absl::StatusOr<std::optional<IpamStart>> ParseIpamStart(absl::string_view text);

}  // namespace weave
