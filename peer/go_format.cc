#include "peer/go_format.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "peer/go_text.h"

namespace weave {
namespace {

// Go refuses larger numbers as width or precision.
constexpr int kMaxWidth = 1'000'000;

struct Flags {
  bool minus = false;
  bool plus = false;
  bool sharp = false;
  bool space = false;
  bool zero = false;
  bool field_names = false;  // %+v
  std::optional<int> width;
  std::optional<int> precision;
};

// Appends values one by one until the text has grown to its limit.
class Printer {
 public:
  explicit Printer(std::size_t max_size) : max_size_(max_size) {}

  Flags flags;

  bool full() const { return out_.size() >= max_size_; }
  void Raw(absl::string_view text) { absl::StrAppend(&out_, text); }
  void Print(const ReportValue& value, char32_t verb);
  std::string Text() && { return std::move(out_); }

 private:
  void Pad(absl::string_view text);
  void PadInteger(absl::string_view sign, absl::string_view prefix, std::string digits);
  void BadVerb(const ReportValue& value, char32_t verb);
  void PrintInteger(const ReportValue& value, char32_t verb);
  void PrintFloat(double value, char32_t verb);
  void PrintText(absl::string_view text, char32_t verb, const ReportValue& value);
  void PrintStruct(const ReportValue::Struct& value, char32_t verb);

  const std::size_t max_size_;
  std::string out_;
};

void Printer::Pad(absl::string_view text) {
  const std::size_t count = CountRunes(text);
  const std::size_t width = static_cast<std::size_t>(flags.width.value_or(0));
  const std::size_t padding = width > count ? width - count : 0;
  if (!flags.minus) out_.append(padding, flags.zero ? '0' : ' ');
  Raw(text);
  if (flags.minus) out_.append(padding, ' ');
}

void Printer::BadVerb(const ReportValue& value, char32_t verb) {
  Raw("%!");
  AppendUtf8(verb, out_);
  if (value.IsNil()) return Raw("(<nil>)");
  absl::StrAppend(&out_, "(", value.TypeName(), "=");
  const Flags saved = std::exchange(flags, Flags());
  Print(value, 'v');
  flags = saved;
  Raw(")");
}

void Printer::PadInteger(absl::string_view sign, absl::string_view prefix, std::string digits) {
  std::size_t min_count = static_cast<std::size_t>(flags.precision.value_or(0));
  if (flags.zero && !flags.minus && !flags.precision.has_value() && flags.width.has_value()) {
    const std::size_t width = static_cast<std::size_t>(*flags.width);
    min_count = width > sign.size() ? width - sign.size() : 0;
  }
  if (digits.size() < min_count) digits.insert(0, min_count - digits.size(), '0');
  const bool zero = std::exchange(flags.zero, false);
  Pad(absl::StrCat(sign, prefix, digits));
  flags.zero = zero;
}

void Printer::PrintInteger(const ReportValue& value, char32_t verb) {
  const bool negative = value.kind() == ReportValue::Kind::kInt && value.AsInt() < 0;
  std::uint64_t magnitude =
      value.kind() == ReportValue::Kind::kInt ? static_cast<std::uint64_t>(value.AsInt()) : value.AsUint();
  const char32_t code = !negative && magnitude <= 0x10ffff ? static_cast<char32_t>(magnitude) : 0xfffd;
  if (negative) magnitude = 0 - magnitude;
  const absl::string_view sign = negative ? "-" : flags.plus ? "+" : flags.space ? " " : "";
  if (flags.precision == 0 && magnitude == 0 && verb != 'c' && verb != 'q' && verb != 'U') return Pad("");
  switch (verb) {
    case 'v':
    case 'd':
      return PadInteger(sign, "", absl::StrCat(magnitude));
    case 'x':
      return PadInteger(sign, flags.sharp ? "0x" : "", absl::StrFormat("%x", magnitude));
    case 'X':
      return PadInteger(sign, flags.sharp ? "0X" : "", absl::StrFormat("%X", magnitude));
    case 'o':
    case 'O':
      return PadInteger(sign, verb == 'O' ? "0o" : flags.sharp ? "0" : "", absl::StrFormat("%o", magnitude));
    case 'b': {
      std::string digits;
      for (; magnitude > 0 || digits.empty(); magnitude >>= 1) digits.insert(0, 1, (magnitude & 1) != 0 ? '1' : '0');
      return PadInteger(sign, flags.sharp ? "0b" : "", std::move(digits));
    }
    case 'U':
      return Pad(absl::StrFormat("U+%04X", magnitude));
    case 'c':
    case 'q': {
      std::string character;
      AppendUtf8(code, character);
      if (verb == 'c') return Pad(character);
      std::string quoted = code == '"' ? "\"\"\"" : GoQuote(character);  // only the quotes differ from a string's
      quoted.front() = quoted.back() = '\'';
      return Pad(code == '\'' ? "'\\''" : quoted);
    }
    default:
      return BadVerb(value, verb);
  }
}

// As strconv.FormatFloat of `value` with `verb` and `precision`.
std::string FloatText(double value, char verb, std::optional<int> precision) {
  if (!std::isfinite(value)) return std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  const int digits = std::min(precision.value_or(6), 400);
  switch (verb) {
    case 'e':
      return absl::StrFormat("%.*e", digits, value);
    case 'E':
      return absl::StrFormat("%.*E", digits, value);
    case 'f':
      return absl::StrFormat("%.*f", digits, value);
    default:
      return precision.has_value() ? absl::StrFormat("%.*g", digits, value)
                                   : ShortestFloat(value, FloatStyle::kPrinted);
  }
}

void Printer::PrintFloat(double value, char32_t verb) {
  char letter = static_cast<char>(verb);
  switch (verb) {
    case 'v':
      letter = 'g';
      break;
    case 'F':
      letter = 'f';
      break;
    case 'e':
    case 'E':
    case 'f':
    case 'g':
      break;
    case 'G':
      letter = 'g';
      break;
    default:
      return BadVerb(ReportValue::Float(value), verb);
  }
  std::string text = FloatText(value, letter, flags.precision);
  if (verb == 'G') absl::AsciiStrToUpper(&text);
  absl::string_view sign = flags.plus ? "+" : flags.space ? " " : "";
  if (text.front() == '-' || text.front() == '+') {
    if (text.front() == '-') sign = "-";
    text.erase(0, 1);
  }
  const bool zero = std::exchange(flags.zero, flags.zero && std::isfinite(value));
  const std::size_t width = static_cast<std::size_t>(flags.width.value_or(0));
  if (flags.zero && !flags.minus && sign.size() + text.size() < width)
    text.insert(0, width - sign.size() - text.size(), '0');
  Pad(absl::StrCat(sign, text));
  flags.zero = zero;
}

std::string HexOf(absl::string_view text, const Flags& flags, bool upper) {
  if (flags.precision.has_value()) text = text.substr(0, static_cast<std::size_t>(*flags.precision));
  std::string hex;
  for (const char c : text) {
    if (flags.space && !hex.empty()) hex += ' ';
    if (flags.sharp && (flags.space || hex.empty())) hex += upper ? "0X" : "0x";
    const auto byte = static_cast<unsigned char>(c);
    absl::StrAppend(&hex, upper ? absl::StrFormat("%02X", byte) : absl::StrFormat("%02x", byte));
  }
  return hex;
}

absl::string_view FirstRunes(absl::string_view text, int count) {
  std::size_t size = 0;
  for (; count > 0 && size < text.size(); --count) size += FirstRune(text.substr(size)).size;
  return text.substr(0, size);
}

void Printer::PrintText(absl::string_view text, char32_t verb, const ReportValue& value) {
  const absl::string_view cut = flags.precision.has_value() ? FirstRunes(text, *flags.precision) : text;
  switch (verb) {
    case 'v':
    case 's':
      return Pad(cut);
    case 'q': {
      const bool raw = flags.sharp && std::none_of(cut.begin(), cut.end(), [](char c) {
                         return c == '`' || c == '\x7f' || (static_cast<unsigned char>(c) < 0x20 && c != '\t');
                       });
      return Pad(raw ? absl::StrCat("`", cut, "`") : GoQuote(cut));
    }
    case 'x':
    case 'X':
      return Pad(HexOf(text, flags, verb == 'X'));
    default:
      return BadVerb(value, verb);
  }
}

void Printer::PrintStruct(const ReportValue::Struct& value, char32_t verb) {
  Raw("{");
  bool first = true;
  for (const ReportValue::Field& field : value.fields) {
    if (full()) return;
    if (!std::exchange(first, false)) Raw(" ");
    if (flags.field_names) absl::StrAppend(&out_, field.first, ":");
    Print(field.second, verb);
  }
  Raw("}");
}

// Values are nested a few levels only: reports are.
void Printer::Print(const ReportValue& value, char32_t verb) {
  if (full()) return;
  if (verb == 'T') return Pad(value.IsNil() ? "<nil>" : value.TypeName());
  switch (value.kind()) {
    case ReportValue::Kind::kNil:
      if (verb == 'v') return Pad("<nil>");
      return BadVerb(value, verb);
    case ReportValue::Kind::kBool:
      if (verb == 'v' || verb == 't') return Pad(value.AsBool() ? "true" : "false");
      return BadVerb(value, verb);
    case ReportValue::Kind::kInt:
    case ReportValue::Kind::kUint:
      return PrintInteger(value, verb);
    case ReportValue::Kind::kFloat:
      return PrintFloat(value.AsFloat(), verb);
    case ReportValue::Kind::kString:
      return PrintText(value.AsString(), verb, value);
    case ReportValue::Kind::kList: {
      Raw("[");
      bool first = true;
      for (const ReportValue& element : value.AsList()) {
        if (full()) return;
        if (!std::exchange(first, false)) Raw(" ");
        Print(element, verb);
      }
      return Raw("]");
    }
    case ReportValue::Kind::kMap: {
      Raw("map[");
      bool first = true;
      for (const auto& [key, element] : value.AsMap()) {
        if (full()) return;
        if (!std::exchange(first, false)) Raw(" ");
        PrintText(key, verb, ReportValue::String(key));
        Raw(":");
        Print(element, verb);
      }
      return Raw("]");
    }
    case ReportValue::Kind::kStruct:
      if (value.AsStruct().text.empty()) return PrintStruct(value.AsStruct(), verb);
      return PrintText(value.AsStruct().text, verb, ReportValue::String(value.AsStruct().text));
  }
}

// Walks through a format and its arguments.
class FormatRun {
 public:
  FormatRun(absl::string_view format, absl::Span<const ReportValue> values, std::size_t max_size)
      : format_(format), values_(values), printer_(max_size) {}

  std::string Text() && {
    while (!format_.empty() && !printer_.full()) {
      const std::size_t percent = std::min(format_.find('%'), format_.size());
      printer_.Raw(format_.substr(0, percent));
      format_.remove_prefix(percent);
      if (format_.empty()) break;
      format_.remove_prefix(1);
      Directive();
    }
    if (!reordered_ && next_ < values_.size()) Extra();
    return std::move(printer_).Text();
  }

 private:
  char Peek() const { return format_.empty() ? '\0' : format_.front(); }

  bool Take(char c) {
    if (Peek() != c || format_.empty()) return false;
    format_.remove_prefix(1);
    return true;
  }

  std::optional<int> Number() {
    if (!absl::ascii_isdigit(Peek())) return std::nullopt;
    int number = 0;
    for (; absl::ascii_isdigit(Peek()); format_.remove_prefix(1))
      number = std::min(number * 10 + (Peek() - '0'), kMaxWidth * 2);
    return number;
  }

  // `[n]` names the value that is next.
  void Index() {
    if (Peek() != '[') return;
    reordered_ = true;
    const std::size_t close = format_.find(']');
    if (close == absl::string_view::npos) {
      index_is_good_ = false;
      format_.remove_prefix(1);
      return;
    }
    const absl::string_view rest = format_.substr(close + 1);
    format_.remove_prefix(1);
    const std::optional<int> number = Number();
    index_is_good_ =
        number.has_value() && *number >= 1 && static_cast<std::size_t>(*number) <= values_.size() && Peek() == ']';
    if (index_is_good_) next_ = static_cast<std::size_t>(*number) - 1;
    format_ = rest;
  }

  // The value `*` stands for; nothing when it is no acceptable integer.
  std::optional<int> Star() {
    if (next_ >= values_.size()) return std::nullopt;
    const ReportValue& value = values_[next_++];
    if (value.kind() != ReportValue::Kind::kInt || std::abs(value.AsInt()) > kMaxWidth) return std::nullopt;
    return static_cast<int>(value.AsInt());
  }

  void TakeFlags() {
    Flags& flags = printer_.flags = Flags();
    while (true) {
      if (Take('#')) {
        flags.sharp = true;
      } else if (Take('0')) {
        flags.zero = !flags.minus;
      } else if (Take('+')) {
        flags.plus = true;
      } else if (Take('-')) {
        flags.minus = true;
        flags.zero = false;
      } else if (Take(' ')) {
        flags.space = true;
      } else {
        return;
      }
    }
  }

  void TakeWidth() {
    Flags& flags = printer_.flags;
    if (Take('*')) {
      flags.width = Star();
      if (!flags.width.has_value()) return printer_.Raw("%!(BADWIDTH)");
      if (*flags.width < 0) {
        flags.width = -*flags.width;
        flags.minus = true;
        flags.zero = false;
      }
    } else {
      flags.width = Number();
      if (flags.width > kMaxWidth) flags.width.reset();
    }
  }

  void TakePrecision() {
    if (!Take('.')) return;
    Index();
    Flags& flags = printer_.flags;
    if (Take('*')) {
      flags.precision = Star();
      if (flags.precision.has_value() && *flags.precision >= 0) return;
      flags.precision.reset();
      printer_.Raw("%!(BADPREC)");
    } else {
      flags.precision = Number().value_or(0);
      if (flags.precision > kMaxWidth) flags.precision.reset();
    }
  }

  void Directive() {
    index_is_good_ = true;
    TakeFlags();
    Index();
    TakeWidth();
    TakePrecision();
    Index();
    if (format_.empty()) return printer_.Raw("%!(NOVERB)");
    const Rune verb = FirstRune(format_);
    const absl::string_view word = format_.substr(0, verb.size);
    format_.remove_prefix(verb.size);
    if (verb.code == '%') return printer_.Raw("%");
    if (!index_is_good_) return printer_.Raw(absl::StrCat("%!", word, "(BADINDEX)"));
    if (next_ >= values_.size()) return printer_.Raw(absl::StrCat("%!", word, "(MISSING)"));
    if (verb.code == 'v') {  // the flags mean something else there
      printer_.flags.field_names = std::exchange(printer_.flags.plus, false);
      printer_.flags.sharp = false;
    }
    printer_.Print(values_[next_++], verb.code);
  }

  void Extra() {
    printer_.flags = Flags();
    printer_.Raw("%!(EXTRA ");
    for (std::size_t i = next_; i < values_.size(); ++i) {
      if (i > next_) printer_.Raw(", ");
      if (!values_[i].IsNil()) printer_.Raw(absl::StrCat(values_[i].TypeName(), "="));
      printer_.Print(values_[i], 'v');
    }
    printer_.Raw(")");
  }

  absl::string_view format_;
  const absl::Span<const ReportValue> values_;
  Printer printer_;
  std::size_t next_ = 0;
  bool reordered_ = false;
  bool index_is_good_ = true;
};

}  // namespace

std::string GoPrint(const ReportValue& value, std::size_t max_size) {
  Printer printer(max_size);
  printer.Print(value, 'v');
  return std::move(printer).Text();
}

std::string GoSprint(absl::Span<const ReportValue> values, std::size_t max_size) {
  Printer printer(max_size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool text = values[i].kind() == ReportValue::Kind::kString;
    if (i > 0 && !text && values[i - 1].kind() != ReportValue::Kind::kString) printer.Raw(" ");
    printer.Print(values[i], 'v');
  }
  return std::move(printer).Text();
}

std::string GoSprintln(absl::Span<const ReportValue> values, std::size_t max_size) {
  Printer printer(max_size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) printer.Raw(" ");
    printer.Print(values[i], 'v');
  }
  printer.Raw("\n");
  return std::move(printer).Text();
}

std::string GoSprintf(absl::string_view format, absl::Span<const ReportValue> values, std::size_t max_size) {
  return FormatRun(format, values, max_size).Text();
}

}  // namespace weave
