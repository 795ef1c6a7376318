#include "doctor/finding.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace weave {
namespace {

constexpr int kSeverityWidth = 4;

// Nicknames, container names and programs' names are others' choice.
std::string WithoutControlCharacters(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
  return text;
}

// The size of the UTF-8 character that `text` begins with, as its first byte tells; 0: it is none.
std::size_t Utf8Size(absl::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t size = first < 0x80 ? 1 : first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if ((first >= 0x80 && first < 0xC2) || first > 0xF4 || size > text.size()) return 0;
  for (const char c : text.substr(1, size - 1))
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) return 0;
  return size;
}

// What is no UTF-8 becomes the character that stands for such: names are others' choice, and JSON is UTF-8.
std::string Utf8(absl::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t size = Utf8Size(text);
    absl::StrAppend(&valid, size == 0 ? "\xEF\xBF\xBD" : text.substr(0, size));
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return valid;
}

std::string JsonString(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : Utf8(text)) {
    if (c == '"' || c == '\\')
      absl::StrAppend(&quoted, "\\", absl::string_view(&c, 1));
    else if (absl::ascii_iscntrl(static_cast<unsigned char>(c)))
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<unsigned char>(c));
    else
      quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

absl::string_view ToString(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kWarn:
      return "warn";
    case Severity::kFail:
      return "fail";
  }
  return "unknown";
}

std::string FormatFinding(const Finding& finding) {
  std::string line =
      absl::StrFormat("%-*s  %s: %s", kSeverityWidth, ToString(finding.severity), finding.check, finding.text);
  if (!finding.command.empty())
    absl::StrAppend(&line, "; type", finding.host.empty() ? "" : absl::StrCat(" on ", finding.host), ": ",
                    finding.command);
  return WithoutControlCharacters(std::move(line));
}

std::string FindingsAsJson(const std::vector<Finding>& findings) {
  std::string json = absl::StrCat("{\n  \"healthy\": ", AnyFailed(findings) ? "false" : "true", ",\n  \"findings\": [");
  absl::string_view separator = "\n";
  for (const Finding& finding : findings) {
    absl::StrAppend(&json, separator, "    {\"severity\": \"", ToString(finding.severity),
                    "\", \"check\": ", JsonString(finding.check), ", \"text\": ", JsonString(finding.text));
    if (!finding.command.empty()) absl::StrAppend(&json, ", \"command\": ", JsonString(finding.command));
    if (!finding.host.empty()) absl::StrAppend(&json, ", \"host\": ", JsonString(finding.host));
    json += "}";
    separator = ",\n";
  }
  return absl::StrCat(json, findings.empty() ? "" : "\n  ", "]\n}\n");
}

bool AnyFailed(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.severity == Severity::kFail; });
}

Findings::Findings(std::vector<Finding>& all, absl::string_view check) : all_(all), check_(check), first_(all.size()) {}

void Findings::Warn(std::string text, std::string command, std::string host) {
  all_.push_back({Severity::kWarn, check_, std::move(text), std::move(command), std::move(host)});
}

void Findings::Fail(std::string text, std::string command, std::string host) {
  all_.push_back({Severity::kFail, check_, std::move(text), std::move(command), std::move(host)});
}

void Findings::OkUnlessFound(std::string text) {
  if (all_.size() == first_) all_.push_back({Severity::kOk, check_, std::move(text)});
}

}  // namespace weave
