// A request and a response of HTTP/1.1 as values, and the decoding of what a URL and a form carry. Shared by the
// servers, the router and the client; knows no socket and no HTTP library.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// Names compare without case; the order is that of the wire.
using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // as sent: "GET"
  std::string path;    // as sent, percent escapes and all; starts with '/'. HttpRouter decodes it per segment
  std::string query;   // as sent, without the '?'
  HttpHeaders headers;
  std::string body;

  // The value of the first header of that name; valid as long as this request.
  std::optional<absl::string_view> Header(absl::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type;  // empty: "text/plain; charset=utf-8" when there is a body, no header otherwise
  std::string body;          // not sent with 204 and 304
};

// `text` and a newline, as every error of spec/control.md section 1.
HttpResponse HttpError(int status, absl::string_view text);

// Key and value pairs in the order of the text. A key may repeat.
class HttpForm {
 public:
  void Add(std::string key, std::string value) { pairs_.emplace_back(std::move(key), std::move(value)); }
  void Append(HttpForm other);

  std::optional<std::string> First(absl::string_view key) const;
  std::vector<std::string> All(absl::string_view key) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

// application/x-www-form-urlencoded. `+` is a blank, `key` alone has the empty value, empty pairs are skipped.
// InvalidArgument naming the pair when an escape is malformed.
absl::StatusOr<HttpForm> ParseForm(absl::string_view text);

// The fields of a request: those of its body first (only if its content type says it is a form and the method is POST,
// PUT or PATCH), then those of the query.
absl::StatusOr<HttpForm> ParseForm(const HttpRequest& request);

// Decodes %XX; leaves `+` alone. InvalidArgument naming the text when an escape is malformed.
absl::StatusOr<std::string> PercentDecode(absl::string_view text);

// Splits a request target ("/a?b=c" or "http://host/a?b=c") into path and query. InvalidArgument naming it when it is
// neither.
absl::Status SplitTarget(absl::string_view target, HttpRequest& request);

}  // namespace weave
