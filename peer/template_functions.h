// The functions of templates: Go's own but `call`, and `json` (spec/control.md section 4); and what a template may use
// up.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peer/report_value.h"

namespace weave {

// A template comes from whoever may ask, and may loop. Both limits are far above what a report of some thousand peers
// needs. Every charge that goes beyond is ResourceExhausted.
class TemplateBudget {
 public:
  static constexpr std::size_t kMaxSize = std::size_t{32} << 20;  // bytes printed, and taken or made by functions
  static constexpr std::size_t kMaxStepCount = 2'000'000;         // nodes, terms, rounds of `range`

  absl::Status TakeSize(std::size_t size);
  absl::Status TakeStep();
  // How large a text may become before it is surely refused.
  std::size_t print_limit() const { return size_left_ + 1; }

 private:
  std::size_t size_left_ = kMaxSize;
  std::size_t steps_left_ = kMaxStepCount;
};

// Also true for `and` and `or`, which are not functions that can be called: they leave out what they need not evaluate.
bool IsTemplateFunction(absl::string_view name);

// `name` is a function but `and` and `or`. FailedPrecondition in Go's words when the arguments do not suit it.
absl::StatusOr<ReportValue> CallTemplateFunction(absl::string_view name, const std::vector<ReportValue>& args,
                                                 TemplateBudget& budget);

}  // namespace weave
