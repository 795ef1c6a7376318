// Numbers, strings and characters as Go writes them in a template: `0x1f`, `1_000`, `"a\tb"`, `'x'`.
#pragma once

#include "absl/status/statusor.h"
#include "peer/report_value.h"
#include "peer/template_lexer.h"

namespace weave {

// `token` is a bool, number, character, string or raw string; a character is its number. InvalidArgument naming the
// text when it is not well formed, does not fit into 64 bits, or is complex.
absl::StatusOr<ReportValue> ParseTemplateLiteral(const Token& token);

}  // namespace weave
