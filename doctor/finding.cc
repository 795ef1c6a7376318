#include "doctor/finding.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
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
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    nlohmann::ordered_json entry = {
        {"severity", std::string(ToString(finding.severity))}, {"check", finding.check}, {"text", finding.text}};
    if (!finding.command.empty()) entry["command"] = finding.command;
    if (!finding.host.empty()) entry["host"] = finding.host;
    list.push_back(std::move(entry));
  }
  const nlohmann::ordered_json all = {{"healthy", !AnyFailed(findings)}, {"findings", std::move(list)}};
  // Names are others' choice: what is no UTF-8 becomes the character that stands for such.
  return all.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
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
