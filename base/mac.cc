#include "base/mac.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weave {

MacAddress MacAddress::FromBytes(ByteView bytes) {
  std::array<std::uint8_t, 6> mac;
  std::copy_n(bytes.begin(), mac.size(), mac.begin());
  return MacAddress(mac);
}

absl::StatusOr<MacAddress> MacAddress::Parse(absl::string_view text) {
  const auto bad = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid MAC address \"", text, "\": want six groups of two hex digits, xx:xx:xx:xx:xx:xx"));
  };
  if (text.size() != 17) return bad();
  std::array<std::uint8_t, 6> bytes = {};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const absl::string_view group = text.substr(3 * i, 2);
    if (i > 0 && text[3 * i - 1] != ':') return bad();
    int value = 0;
    if (!absl::ascii_isxdigit(group[0]) || !absl::ascii_isxdigit(group[1]) || !absl::SimpleHexAtoi(group, &value))
      return bad();
    bytes[i] = static_cast<std::uint8_t>(value);
  }
  return MacAddress(bytes);
}

std::string MacAddress::ToString() const {
  // By hand: names of peers are written like this into every log line.
  std::string text(3 * bytes_.size() - 1, ':');
  for (std::size_t i = 0; i < bytes_.size(); ++i) {
    text[3 * i] = kHexDigits[bytes_[i] >> 4];
    text[3 * i + 1] = kHexDigits[bytes_[i] & 0xf];
  }
  return text;
}

}  // namespace weave
