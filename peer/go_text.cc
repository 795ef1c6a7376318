#include "peer/go_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weave {

Rune FirstRune(absl::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1, true};
  const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return {};
  char32_t code = first & (0xffU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return {};
  return {code, size, true};
}

std::size_t CountRunes(absl::string_view text) {
  std::size_t count = 0;
  for (; !text.empty(); ++count) text.remove_prefix(FirstRune(text).size);
  return count;
}

void AppendUtf8(char32_t code, std::string& out) {
  if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) code = 0xfffd;
  const auto tail = [&](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += {static_cast<char>(0xc0 | code >> 6), tail(0)};
  } else if (code < 0x10000) {
    out += {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  } else {
    out += {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
  }
}

std::string GoQuote(absl::string_view text) {
  constexpr absl::string_view kEscaped = "\a\b\f\n\r\t\v\\\"";
  constexpr absl::string_view kLetters = "abfnrtv\\\"";
  std::string out = "\"";
  while (!text.empty()) {
    const Rune rune = FirstRune(text);
    const absl::string_view bytes = text.substr(0, rune.size);
    text.remove_prefix(rune.size);
    const std::size_t escape = rune.size == 1 ? kEscaped.find(bytes.front()) : absl::string_view::npos;
    if (escape != absl::string_view::npos) {
      out += {'\\', kLetters[escape]};
    } else if (!rune.valid || rune.code < 0x20 || rune.code == 0x7f) {
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(bytes.front()));
    } else if (rune.code >= 0x80 && rune.code < 0xa1) {  // control characters and the blank that does not break
      absl::StrAppendFormat(&out, "\\u%04x", rune.code);
    } else {
      absl::StrAppend(&out, bytes);
    }
  }
  return out + '"';
}

std::string ShortestFloat(double value, FloatStyle style) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific).ptr;
  const absl::string_view text(buffer, static_cast<std::size_t>(end - buffer));  // `1.5e+08`
  const std::size_t e = text.find('e');
  std::string digits(text.substr(0, e));
  digits.erase(std::remove(digits.begin(), digits.end(), '.'), digits.end());
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end, exponent);
  const std::string sign = std::signbit(value) ? "-" : "";
  const bool json = style == FloatStyle::kJson;
  if (exponent < (json ? -6 : -4) || exponent >= (json ? 21 : 6))
    return absl::StrCat(sign, digits.substr(0, 1), digits.size() > 1 ? "." : "", digits.substr(1),
                        exponent < 0 ? "e-" : "e+", !json && std::abs(exponent) < 10 ? "0" : "", std::abs(exponent));
  if (exponent < 0) return absl::StrCat(sign, "0.", std::string(static_cast<std::size_t>(-exponent - 1), '0'), digits);
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return absl::StrCat(sign, digits, std::string(whole - digits.size(), '0'));
  return absl::StrCat(sign, digits.substr(0, whole), ".", digits.substr(whole));
}

}  // namespace weave
