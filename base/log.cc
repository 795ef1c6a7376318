#include "base/log.h"

#include <algorithm>
#include <array>

#include "absl/strings/escaping.h"

namespace weave {
namespace {

constexpr std::array<absl::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};

bool IsPlain(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\'; }

}  // namespace

absl::string_view ToString(LogLevel level) { return kLevelNames[static_cast<std::size_t>(level)]; }

std::optional<LogLevel> ParseLogLevel(absl::string_view text) {
  const auto found = std::find(kLevelNames.begin(), kLevelNames.end(), text);
  if (found == kLevelNames.end()) return std::nullopt;
  return static_cast<LogLevel>(found - kLevelNames.begin());
}

std::string FormatFields(absl::Span<const LogField> fields) {
  std::string text;
  for (const LogField& field : fields) {
    if (!text.empty()) text.push_back(' ');
    const bool plain = !field.value.empty() && std::all_of(field.value.begin(), field.value.end(), IsPlain);
    absl::StrAppend(&text, field.name, "=");
    if (plain)
      text += field.value;
    else
      absl::StrAppend(&text, "\"", absl::Utf8SafeCEscape(field.value), "\"");
  }
  return text;
}

}  // namespace weave
