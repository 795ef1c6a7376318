#include "peer/template_literals.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "peer/go_text.h"

namespace weave {
namespace {

int DigitValue(char c) {
  if (absl::ascii_isdigit(c)) return c - '0';
  if (absl::ascii_isxdigit(c)) return absl::ascii_tolower(c) - 'a' + 10;
  return 16;
}

std::optional<std::uint64_t> ParseDigits(absl::string_view digits, int base) {
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return value;
}

absl::StatusOr<ReportValue> ParseNumber(absl::string_view text) {
  const absl::Status malformed = absl::InvalidArgumentError(absl::StrCat("bad number syntax: ", GoQuote(text)));
  if (text.empty() || text.back() == '_') return malformed;
  std::string number(text);
  number.erase(std::remove(number.begin(), number.end(), '_'), number.end());
  const bool negative = number.front() == '-';
  if (negative || number.front() == '+') number.erase(0, 1);
  if (number.empty()) return absl::InvalidArgumentError(absl::StrCat("illegal number syntax: ", GoQuote(text)));

  int base = 10;
  std::string digits = number;
  if (number.size() > 1 && number[0] == '0') {
    const char mark = absl::ascii_tolower(number[1]);
    base = mark == 'x' ? 16 : mark == 'o' || absl::ascii_isdigit(mark) ? 8 : mark == 'b' ? 2 : 10;
    if (mark == 'x' || mark == 'o' || mark == 'b') digits.erase(0, 2);
  }
  if (const std::optional<std::uint64_t> magnitude = ParseDigits(digits, base)) {
    constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;
    if (negative && *magnitude <= kLimit) return ReportValue::Int(static_cast<std::int64_t>(0 - *magnitude));
    if (!negative && *magnitude < kLimit) return ReportValue::Int(static_cast<std::int64_t>(*magnitude));
    return absl::InvalidArgumentError(absl::StrCat("integer overflow: ", GoQuote(text)));
  }
  if (number.back() == 'i')
    return absl::InvalidArgumentError(absl::StrCat("complex numbers are not supported: ", text));
  double value = 0;
  const bool decimal = std::all_of(number.begin(), number.end(), [](char c) {
    return absl::ascii_isdigit(c) || absl::string_view(".eE+-").find(c) != absl::string_view::npos;
  });
  if (!decimal || !absl::SimpleAtod(number, &value)) return malformed;
  if (number.find_first_of(".eE") == std::string::npos) {  // `08`: Go reads it as a float that is whole
    if (value > 9e18) return absl::InvalidArgumentError(absl::StrCat("integer overflow: ", GoQuote(text)));
    return ReportValue::Int(static_cast<std::int64_t>(negative ? -value : value));
  }
  return ReportValue::Float(negative ? -value : value);
}

// Takes an escape apart, from behind its backslash, and appends what it means to `out`; false when there is none.
bool TakeEscape(absl::string_view& rest, char quote, std::string& out) {
  if (rest.empty()) return false;
  const char mark = rest.front();
  constexpr absl::string_view kLetters = "abfnrtv\\";
  constexpr absl::string_view kMeanings = "\a\b\f\n\r\t\v\\";
  if (const std::size_t i = kLetters.find(mark); i != absl::string_view::npos || mark == quote) {
    out += mark == quote ? quote : kMeanings[i];
    rest.remove_prefix(1);
    return true;
  }
  const bool octal = mark >= '0' && mark <= '7';
  const std::size_t count = octal ? 3 : mark == 'x' ? 2 : mark == 'u' ? 4 : mark == 'U' ? 8 : 0;
  const int base = octal ? 8 : 16;
  if (!octal) rest.remove_prefix(1);
  if (count == 0 || rest.size() < count) return false;
  char32_t code = 0;
  for (const char c : rest.substr(0, count)) {
    if (DigitValue(c) >= base) return false;
    code = code * static_cast<char32_t>(base) + static_cast<char32_t>(DigitValue(c));
  }
  rest.remove_prefix(count);
  if (octal || mark == 'x') {
    if (code > 255) return false;
    out += static_cast<char>(code);
    return true;
  }
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
  AppendUtf8(code, out);
  return true;
}

absl::StatusOr<std::string> Unquote(absl::string_view quoted) {
  const char quote = quoted.front();
  std::string text;
  for (absl::string_view rest = quoted.substr(1, quoted.size() - 2); !rest.empty();) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c != '\\') {
      text += c;
    } else if (!TakeEscape(rest, quote, text)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid syntax: ", quoted));
    }
  }
  return text;
}

absl::StatusOr<ReportValue> ParseCharacter(absl::string_view quoted) {
  // An escape of one byte means that number, no piece of UTF-8.
  const bool escaped_byte =
      quoted.size() > 2 && quoted[1] == '\\' && (quoted[2] == 'x' || absl::ascii_isdigit(quoted[2]));
  ASSIGN_OR_RETURN(const std::string text, Unquote(quoted));
  if (escaped_byte && text.size() == 1) return ReportValue::Int(static_cast<unsigned char>(text[0]));
  if (text.empty() || FirstRune(text).size != text.size())
    return absl::InvalidArgumentError(absl::StrCat("malformed character constant: ", quoted));
  return ReportValue::Int(static_cast<std::int64_t>(FirstRune(text).code));
}

}  // namespace

absl::StatusOr<ReportValue> ParseTemplateLiteral(const Token& token) {
  switch (token.kind) {
    case TokenKind::kBool:
      return ReportValue::Bool(token.text == "true");
    case TokenKind::kNumber:
      return ParseNumber(token.text);
    case TokenKind::kCharacter:
      return ParseCharacter(token.text);
    case TokenKind::kRawString:
      return ReportValue::String(token.text.substr(1, token.text.size() - 2));
    default: {
      ASSIGN_OR_RETURN(std::string text, Unquote(token.text));
      return ReportValue::String(std::move(text));
    }
  }
}

}  // namespace weave
