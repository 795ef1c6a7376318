// From the text of a template to its tree.
#pragma once

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "peer/template_tree.h"

namespace weave {

// How deep actions and parentheses may stand in each other.
inline constexpr int kMaxTemplateNesting = 100;

// InvalidArgument with Go's words for what is wrong and the line: `template: format:1: unclosed action`.
absl::StatusOr<TemplateSet> ParseTemplate(absl::string_view text);

// `message` as one line of at most some hundred bytes, whatever of the template it quotes.
std::string TemplateMessage(absl::string_view message);

// `1:14`: line from 1, byte of the line from 0.
std::string TemplateLineAndColumn(absl::string_view text, std::size_t position);

}  // namespace weave
