// eq, ne, lt, le, gt, ge of templates: bools, numbers and strings, signed against unsigned numbers too.
#pragma once

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "peer/report_value.h"

namespace weave {

// FailedPrecondition in Go's words when values cannot be compared. Those but eq take two.
absl::StatusOr<ReportValue> TemplateEq(absl::Span<const ReportValue> args);  // whether the first equals any other
absl::StatusOr<ReportValue> TemplateNe(absl::Span<const ReportValue> args);
absl::StatusOr<ReportValue> TemplateLt(absl::Span<const ReportValue> args);
absl::StatusOr<ReportValue> TemplateLe(absl::Span<const ReportValue> args);
absl::StatusOr<ReportValue> TemplateGt(absl::Span<const ReportValue> args);
absl::StatusOr<ReportValue> TemplateGe(absl::Span<const ReportValue> args);

}  // namespace weave
