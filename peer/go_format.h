// How Go's package fmt prints values, as far as templates of `weave report -f` can tell (https://pkg.go.dev/fmt,
// Go 1.19).
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peer/report_value.h"

namespace weave {

// %v, at most `max_size` bytes and a little.
std::string GoPrint(const ReportValue& value, std::size_t max_size);

// Print puts a blank between neighbours that are no strings, Println between all.
std::string GoSprint(absl::Span<const ReportValue> values, std::size_t max_size);
std::string GoSprintln(absl::Span<const ReportValue> values, std::size_t max_size);

// Verbs v d s q x X o O b c U t e E f F g G T, flags `+-# 0`, width, precision, `*` and `[n]`. What does not fit is
// printed as Go does: `%!d(string=web)`. The text stops growing soon after `max_size` bytes.
std::string GoSprintf(absl::string_view format, absl::Span<const ReportValue> values, std::size_t max_size);

}  // namespace weave
