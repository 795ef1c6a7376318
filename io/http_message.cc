#include "io/http_message.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace weave {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> Decode(absl::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_blank) {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("malformed escape in \"", absl::CHexEscape(text), "\": want % and two hexadecimal digits"));
      }
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return decoded;
}

}  // namespace

std::optional<absl::string_view> HttpRequest::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, name)) return absl::string_view(value);
  }
  return std::nullopt;
}

HttpResponse HttpError(int status, absl::string_view text) {
  return HttpResponse{.status = status, .content_type = "", .body = absl::StrCat(text, "\n")};
}

void HttpForm::Append(HttpForm other) {
  for (auto& pair : other.pairs_) pairs_.push_back(std::move(pair));
}

std::optional<std::string> HttpForm::First(absl::string_view key) const {
  for (const auto& [name, value] : pairs_) {
    if (name == key) return value;
  }
  return std::nullopt;
}

std::vector<std::string> HttpForm::All(absl::string_view key) const {
  std::vector<std::string> values;
  for (const auto& [name, value] : pairs_) {
    if (name == key) values.push_back(value);
  }
  return values;
}

absl::StatusOr<HttpForm> ParseForm(absl::string_view text) {
  HttpForm form;
  for (absl::string_view pair : absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    ASSIGN_OR_RETURN(std::string key, Decode(parts.first, /*plus_is_blank=*/true));
    ASSIGN_OR_RETURN(std::string value, Decode(parts.second, /*plus_is_blank=*/true));
    form.Add(std::move(key), std::move(value));
  }
  return form;
}

absl::StatusOr<HttpForm> ParseForm(const HttpRequest& request) {
  HttpForm form;
  if (request.method == "POST" || request.method == "PUT" || request.method == "PATCH") {
    absl::string_view type = request.Header("Content-Type").value_or("");
    type = absl::StripAsciiWhitespace(type.substr(0, type.find(';')));
    if (absl::EqualsIgnoreCase(type, "application/x-www-form-urlencoded")) {
      ASSIGN_OR_RETURN(form, ParseForm(request.body));
    }
  }
  ASSIGN_OR_RETURN(HttpForm query, ParseForm(request.query));
  form.Append(std::move(query));
  return form;
}

absl::StatusOr<std::string> PercentDecode(absl::string_view text) { return Decode(text, /*plus_is_blank=*/false); }

absl::Status SplitTarget(absl::string_view target, HttpRequest& request) {
  absl::string_view rest = target;
  if (absl::ConsumePrefix(&rest, "http://")) {
    const std::size_t start = rest.find_first_of("/?");
    rest = start == absl::string_view::npos ? absl::string_view() : rest.substr(start);
  } else if (!absl::StartsWith(rest, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("request target \"", absl::CHexEscape(target), "\": want an absolute path"));
  }
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(rest, absl::MaxSplits('?', 1));
  request.path = parts.first.empty() ? "/" : std::string(parts.first);
  request.query = std::string(parts.second);
  return absl::OkStatus();
}

}  // namespace weave
