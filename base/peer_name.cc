#include "base/peer_name.h"

#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weave {
namespace {

constexpr std::size_t kGroupCount = 6;
constexpr std::size_t kGroupCountWithGap = 4;  // most groups that may stand beside a `::`

std::optional<std::uint8_t> ParseGroup(absl::string_view text) {
  if (text.empty() || text.size() > 2) return std::nullopt;
  int value = 0;
  for (char c : text) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return std::nullopt;
    const int lower = absl::ascii_tolower(static_cast<unsigned char>(c));
    value = value * 16 + (lower <= '9' ? lower - '0' : lower - 'a' + 10);
  }
  return static_cast<std::uint8_t>(value);
}

// Colon-separated groups; the empty text has none.
std::optional<std::vector<std::uint8_t>> ParseGroups(absl::string_view text) {
  std::vector<std::uint8_t> groups;
  if (text.empty()) return groups;
  for (absl::string_view piece : absl::StrSplit(text, ':')) {
    const std::optional<std::uint8_t> group = ParseGroup(piece);
    if (!group.has_value() || groups.size() == kGroupCount) return std::nullopt;
    groups.push_back(*group);
  }
  return groups;
}

std::optional<std::vector<std::uint8_t>> ParseSixBytes(absl::string_view text) {
  const std::size_t gap = text.find("::");
  if (gap == absl::string_view::npos) {
    std::optional<std::vector<std::uint8_t>> groups = ParseGroups(text);
    if (!groups.has_value() || groups->size() != kGroupCount) return std::nullopt;
    return groups;
  }
  std::optional<std::vector<std::uint8_t>> head = ParseGroups(text.substr(0, gap));
  const std::optional<std::vector<std::uint8_t>> tail = ParseGroups(text.substr(gap + 2));
  if (!head.has_value() || !tail.has_value()) return std::nullopt;
  const std::size_t given = head->size() + tail->size();
  if (given == 0 || given > kGroupCountWithGap) return std::nullopt;
  head->resize(kGroupCount - tail->size());
  head->insert(head->end(), tail->begin(), tail->end());
  return head;
}

}  // namespace

PeerName PeerName::FromMac(const MacAddress& mac) {
  std::uint64_t value = 0;
  for (std::uint8_t byte : mac.bytes()) value = value << 8 | byte;
  return PeerName(value);
}

absl::StatusOr<PeerName> PeerName::Parse(absl::string_view text) {
  const std::optional<std::vector<std::uint8_t>> bytes = ParseSixBytes(text);
  if (!bytes.has_value())
    return absl::InvalidArgumentError(absl::StrCat(
        "invalid peer name \"", text, "\": want six hex groups xx:xx:xx:xx:xx:xx, or fewer with one \"::\" as in ::1"));
  std::uint64_t value = 0;
  for (std::uint8_t byte : *bytes) value = value << 8 | byte;
  if (value == 0)
    return absl::InvalidArgumentError(absl::StrCat("invalid peer name \"", text, "\": zero means the unknown peer"));
  return PeerName(value);
}

MacAddress PeerName::ToMac() const {
  std::array<std::uint8_t, 6> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(value_ >> (8 * (5 - i)));
  return MacAddress(bytes);
}

}  // namespace weave
