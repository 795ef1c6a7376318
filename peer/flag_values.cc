#include "peer/flag_values.h"

#include <re2/re2.h>
#include <sys/un.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr std::size_t kMaxQuotedSize = 100;  // bytes of a bad value that an error repeats
constexpr std::size_t kMaxHostSize = 253;    // RFC 1035, without the final dot
constexpr std::size_t kMaxLabelSize = 63;
constexpr std::size_t kMaxSocketPathSize = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kMaxInterfaceNameSize = 15;  // IFNAMSIZ - 1
constexpr int kMinMtu = 68;                        // RFC 791
constexpr int kMaxMtu = 65535;
constexpr int kMaxPeerCount = 1'000'000;

bool HasControlCharacter(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); });
}

bool IsHostName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxHostSize && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  });
}

bool IsBracketedV6(absl::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
  const absl::StatusOr<IpAddress> address = IpAddress::Parse(text.substr(1, text.size() - 2));
  return address.ok() && !address->IsV4();
}

bool IsHost(absl::string_view text) { return IsHostName(text) || IsBracketedV6(text); }

bool IsPort(absl::string_view text, int low) { return ParseFlagInt(text, low, 65535).ok(); }

bool IsHostPort(absl::string_view text, int lowest_port) {
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos || !IsPort(text.substr(colon + 1), lowest_port)) return false;
  const absl::string_view host = text.substr(0, colon);
  return host.empty() || IsHost(host);
}

bool IsSocketPath(absl::string_view text) {
  return !text.empty() && text.front() == '/' && text.size() <= kMaxSocketPathSize && !HasControlCharacter(text);
}

bool IsInterfaceName(absl::string_view text) {
  return !text.empty() && text.size() <= kMaxInterfaceNameSize && text != "." && text != ".." &&
         std::none_of(text.begin(), text.end(), [](unsigned char c) {
           return c == '/' || c == ':' || absl::ascii_isspace(c) || absl::ascii_iscntrl(c);
         });
}

absl::StatusOr<std::string> Accept(bool good, absl::string_view text, absl::string_view wanted) {
  if (!good) return BadValue(text, wanted);
  return std::string(text);
}

std::vector<absl::string_view> SplitList(absl::string_view text) {
  if (text.empty()) return {};
  return absl::StrSplit(text, ',');
}

}  // namespace

std::string QuoteForError(absl::string_view text) {
  const bool cut = text.size() > kMaxQuotedSize;
  return absl::StrCat("\"", absl::Utf8SafeCHexEscape(text.substr(0, kMaxQuotedSize)), cut ? "...\"" : "\"");
}

absl::Status BadValue(absl::string_view text, absl::string_view wanted) {
  return absl::InvalidArgumentError(absl::StrCat(QuoteForError(text), " is not ", wanted));
}

absl::StatusOr<bool> ParseFlagBool(absl::string_view text) {
  for (absl::string_view yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (text == yes) return true;
  for (absl::string_view no : {"0", "f", "F", "false", "FALSE", "False"})
    if (text == no) return false;
  return BadValue(text, "true or false");
}

absl::StatusOr<int> ParseFlagInt(absl::string_view text, int low, int high) {
  absl::string_view digits = text;
  absl::ConsumePrefix(&digits, "-");
  int value = 0;
  const bool well_formed = !digits.empty() && std::all_of(digits.begin(), digits.end(),
                                                          [](unsigned char c) { return absl::ascii_isdigit(c); });
  if (!well_formed || !absl::SimpleAtoi(text, &value) || value < low || value > high)
    return BadValue(text, absl::StrCat("a whole number from ", low, " to ", high));
  return value;
}

absl::StatusOr<int> ParseMtu(absl::string_view text) {
  absl::StatusOr<int> mtu = ParseFlagInt(text, 0, kMaxMtu);
  if (!mtu.ok() || (*mtu != 0 && *mtu < kMinMtu))
    return BadValue(text, absl::StrCat("0 (the overlay's own) or a size in bytes from ", kMinMtu, " to ", kMaxMtu));
  return mtu;
}

absl::StatusOr<Duration> ParsePositiveDuration(absl::string_view text) {
  // Go also spells microseconds with U+00B5 and U+03BC.
  const std::string ascii = absl::StrReplaceAll(text, {{"\u00b5s", "us"}, {"\u03bcs", "us"}});
  Duration duration;
  if (!absl::ParseDuration(ascii, &duration) || duration <= absl::ZeroDuration() ||
      duration == absl::InfiniteDuration())
    return BadValue(text, "a time above zero such as 500ms, 5s or 1m30s");
  return duration;
}

absl::StatusOr<LogLevel> ParseFlagLogLevel(absl::string_view text) {
  const std::optional<LogLevel> level = ParseLogLevel(text);
  if (!level.has_value()) return BadValue(text, "one of debug, info, warning, error");
  return *level;
}

absl::StatusOr<std::string> ParseText(absl::string_view text) {
  return Accept(!HasControlCharacter(text), text, "text without control characters");
}

absl::StatusOr<std::string> ParseSecret(absl::string_view text) { return std::string(text); }

absl::StatusOr<std::string> ParsePath(absl::string_view text) {
  return Accept(!text.empty() && !HasControlCharacter(text), text, "a path");
}

absl::StatusOr<std::string> ParseOptionalPath(absl::string_view text) {
  if (text.empty()) return std::string();
  return ParsePath(text);
}

absl::StatusOr<std::string> ParseSocketPath(absl::string_view text) {
  return Accept(IsSocketPath(text), text,
                absl::StrCat("the absolute path of a unix socket (at most ", kMaxSocketPathSize, " bytes)"));
}

absl::StatusOr<std::string> ParseOptionalSocketPath(absl::string_view text) {
  if (text.empty()) return std::string();
  return ParseSocketPath(text);
}

absl::StatusOr<std::string> ParseInterfaceName(absl::string_view text) {
  return Accept(IsInterfaceName(text), text,
                "the name of a network interface (1 to 15 bytes without '/', ':' and blanks)");
}

absl::StatusOr<std::string> ParseOptionalInterfaceName(absl::string_view text) {
  if (text.empty()) return std::string();
  return ParseInterfaceName(text);
}

absl::StatusOr<std::string> ParseOptionalHost(absl::string_view text) {
  return Accept(text.empty() || IsHostName(text) || IpAddress::Parse(text).ok(), text, "a host name or IP address");
}

absl::StatusOr<std::string> ParseHostPort(absl::string_view text) {
  return Accept(IsHostPort(text, 0), text, "host:port");
}

absl::StatusOr<std::string> ParseListenAddress(absl::string_view text) {
  return Accept(text.empty() || IsSocketPath(text) || IsHostPort(text, 0), text,
                "host:port, the absolute path of a unix socket, or blank for none");
}

absl::StatusOr<std::string> ParsePeerAddress(absl::string_view text) {
  const bool with_port = !text.empty() && text.front() != ':' && IsHostPort(text, 1);
  return Accept(with_port || IsHost(text), text, "a peer, host[:port]");
}

absl::StatusOr<std::vector<std::string>> ParsePeerAddresses(absl::string_view text) {
  std::vector<std::string> addresses;
  for (absl::string_view item : SplitList(text)) {
    ASSIGN_OR_RETURN(std::string address, ParsePeerAddress(item));
    addresses.push_back(std::move(address));
  }
  return addresses;
}

absl::StatusOr<std::string> ParseDockerApi(absl::string_view text) {
  absl::string_view rest = text;
  bool good = text.empty();
  if (absl::ConsumePrefix(&rest, "unix://")) {
    good = IsSocketPath(rest);
  } else if (absl::ConsumePrefix(&rest, "tcp://") || absl::ConsumePrefix(&rest, "http://")) {
    good = !rest.empty() && rest.front() != ':' && IsHostPort(rest, 1);
  }
  return Accept(good, text, "unix:///path, tcp://host:port or http://host:port, or blank for none");
}

absl::StatusOr<std::string> ParseProxyAddress(absl::string_view text) {
  absl::string_view rest = text;
  bool good = false;
  if (absl::ConsumePrefix(&rest, "unix://") || absl::StartsWith(rest, "/")) {
    good = IsSocketPath(rest);
  } else {
    absl::ConsumePrefix(&rest, "tcp://");
    good = IsHostPort(rest, 0);
  }
  return Accept(good, text, "unix:///path, /path, tcp://host:port or host:port");
}

absl::StatusOr<std::string> ParseHttpUrl(absl::string_view text) {
  absl::string_view rest = text;
  const bool scheme = absl::ConsumePrefix(&rest, "https://") || absl::ConsumePrefix(&rest, "http://");
  const absl::string_view authority = rest.substr(0, rest.find('/'));
  const bool host = IsHost(authority) || (IsHostPort(authority, 1) && authority.front() != ':');
  return Accept(scheme && host && !HasControlCharacter(text), text, "a URL, http://... or https://...");
}

absl::StatusOr<std::string> ParseDomain(absl::string_view text) {
  absl::string_view name = text;
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  bool good = IsHostName(name);
  for (absl::string_view label : absl::StrSplit(name, '.'))
    good = good && !label.empty() && label.size() <= kMaxLabelSize && label.front() != '-' && label.back() != '-';
  if (!good) return BadValue(text, "a domain name such as weave.local.");
  return absl::StrCat(name, ".");
}

absl::StatusOr<std::string> ParseRegexp(absl::string_view text) {
  RE2::Options options;
  options.set_log_errors(false);
  const RE2 regexp(re2::StringPiece(text.data(), text.size()), options);
  if (!regexp.ok())
    return BadValue(text, absl::StrCat("a regular expression: ", ParseText(regexp.error()).value_or("")));
  return std::string(text);
}

absl::StatusOr<std::optional<Cidr>> ParseOptionalSubnet(absl::string_view text) {
  if (text.empty()) return std::optional<Cidr>();
  const absl::StatusOr<Cidr> cidr = Cidr::Parse(text);
  // At least 4 addresses, spec/ipam.md section 12; all there are have no end that the wire can say.
  if (!cidr.ok() || !cidr->address().IsV4() || !cidr->IsNetwork() || cidr->prefix_length() > 30 ||
      cidr->prefix_length() == 0)
    return BadValue(text, "an IPv4 network of at least 4 addresses without host bits, such as 10.32.0.0/12");
  return std::optional<Cidr>(*cidr);
}

absl::StatusOr<std::vector<Cidr>> ParseNetworks(absl::string_view text) {
  std::vector<Cidr> networks;
  for (absl::string_view item : SplitList(text)) {
    const absl::StatusOr<Cidr> cidr = Cidr::Parse(item);
    if (!cidr.ok()) return BadValue(item, "a network such as 10.1.0.0/16 (several: separated by commas)");
    networks.push_back(cidr->Network());
  }
  return networks;
}

absl::StatusOr<std::optional<PeerName>> ParseOptionalPeerName(absl::string_view text) {
  if (text.empty()) return std::optional<PeerName>();
  const absl::StatusOr<PeerName> name = PeerName::Parse(text);
  if (!name.ok())
    return BadValue(text, "a peer name: six groups of hex digits such as 01:23:45:67:89:ab, or ::1, but not zero");
  return std::optional<PeerName>(*name);
}

absl::StatusOr<std::optional<IpamStart>> ParseIpamStart(absl::string_view text) {
  if (text.empty()) return std::optional<IpamStart>();
  constexpr absl::string_view kWanted = "consensus, consensus=COUNT, seed=NAME,... or observer";
  IpamStart start;
  absl::string_view rest = text;
  if (text == "observer") {
    start.mode = IpamStart::Mode::kObserver;
  } else if (absl::ConsumePrefix(&rest, "consensus=")) {
    const absl::StatusOr<int> count = ParseFlagInt(rest, 0, kMaxPeerCount);
    if (!count.ok()) return BadValue(text, kWanted);
    start.peer_count = static_cast<std::uint32_t>(*count);
  } else if (absl::ConsumePrefix(&rest, "seed=")) {
    start.mode = IpamStart::Mode::kSeed;
    if (rest.empty()) return BadValue(text, kWanted);
    for (absl::string_view item : SplitList(rest)) {
      const absl::StatusOr<PeerName> name = PeerName::Parse(item);
      if (!name.ok()) return BadValue(item, "the name of a seed peer, such as ::1");
      start.seeds.push_back(*name);
    }
  } else if (text != "consensus") {
    return BadValue(text, kWanted);
  }
  return std::optional<IpamStart>(std::move(start));
}

}  // namespace weave
