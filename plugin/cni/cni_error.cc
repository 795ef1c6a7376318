#include "plugin/cni/cni_error.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weave {
namespace {

constexpr char kCodeUrl[] = "weave/cni-code";
constexpr char kDetailsUrl[] = "weave/cni-details";

CniCode DefaultCode(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ? CniCode::kTryAgainLater : CniCode::kFailed;
}

}  // namespace

absl::Status CniFailure(int code, absl::string_view message, absl::string_view details) {
  absl::Status status = absl::FailedPreconditionError(message.empty() ? "failed" : message);
  status.SetPayload(kCodeUrl, absl::Cord(absl::StrCat(code)));
  if (!details.empty()) status.SetPayload(kDetailsUrl, absl::Cord(details));
  return status;
}

absl::Status CniFailure(CniCode code, absl::string_view message, absl::string_view details) {
  return CniFailure(static_cast<int>(code), message, details);
}

CniErrorParts PartsOf(const absl::Status& status) {
  CniErrorParts parts = {static_cast<int>(DefaultCode(status)), std::string(status.message()), ""};
  if (const absl::optional<absl::Cord> code = status.GetPayload(kCodeUrl))
    (void)absl::SimpleAtoi(std::string(*code), &parts.code);
  if (const absl::optional<absl::Cord> details = status.GetPayload(kDetailsUrl)) parts.details = std::string(*details);
  return parts;
}

absl::Status WithCode(const absl::Status& status, CniCode code) {
  return status.ok() ? status : CniFailure(code, status.message(), PartsOf(status).details);
}

}  // namespace weave
