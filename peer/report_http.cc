#include "peer/report_http.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weave {

HttpResponse AnswerReport(const HttpRequest& request, const ReportView& view) {
  if (request.Header("Accept") == absl::string_view("application/json"))
    return {200, "application/json", *RenderReport(view, std::nullopt)};
  const absl::StatusOr<HttpForm> query = ParseForm(request.query);
  if (!query.ok()) return HttpError(400, query.status().message());
  const std::vector<std::string> formats = query->All("format");
  if (formats.size() != 1) return HttpError(400, "error: must supply one format parameter");
  absl::StatusOr<std::string> text = RenderReport(view, formats.front());
  if (text.ok()) return {200, "", *std::move(text)};
  if (absl::IsFailedPrecondition(text.status()))
    return HttpError(500, absl::StrCat("error during template execution: ", text.status().message()));
  return HttpError(400, text.status().message());
}

}  // namespace weave
