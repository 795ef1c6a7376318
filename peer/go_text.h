// Text and numbers as Go's libraries write them: UTF-8 by code points, quoted strings, floating point. For the JSON of
// the report and its templates (peer/report_value.h, peer/go_format.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace weave {

// A code point at the start of a text. Invalid UTF-8: U+FFFD, one byte long.
struct Rune {
  char32_t code = 0xfffd;
  std::size_t size = 1;  // bytes
  bool valid = false;
};

// `text` is not empty.
Rune FirstRune(absl::string_view text);
std::size_t CountRunes(absl::string_view text);
// What is no code point becomes U+FFFD.
void AppendUtf8(char32_t code, std::string& out);

// `"a \"quoted\" text"`, with Go's escapes for what does not print.
std::string GoQuote(absl::string_view text);

enum class FloatStyle : std::uint8_t {
  kPrinted,  // with an exponent below 1e-4 and from 1e6 up: `1e+06`
  kJson,     // with an exponent below 1e-6 and from 1e21 up: `1e-7`
};

// The fewest digits that read back as `value`, which is finite.
std::string ShortestFloat(double value, FloatStyle style);

}  // namespace weave
