// `weave report -f`: a template in the language of Go's text/template (https://pkg.go.dev/text/template, Go 1.19),
// carried out on a report. Peer/template_parser.h makes a tree of it, this walks the tree.
//
// All of the language but methods, complex numbers and `call`: a report has neither methods nor functions in it.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peer/report_value.h"

namespace weave {

inline constexpr std::size_t kMaxTemplateSize = 65'536;  // bytes

// What the template prints, of any thread. Memory and time are bounded whatever the template is; errors are one line:
//   InvalidArgument     it is no template: `template: format:1: unclosed action`
//   FailedPrecondition  it does not suit the report: `template: format:1:2: executing "format" at <.Nope>: ...`
//   ResourceExhausted   it is too long, too deep or too much work (peer/template_functions.h)
absl::StatusOr<std::string> RenderTemplate(absl::string_view text, const ReportValue& report);

}  // namespace weave
