// The words of a template of `weave report -f`: Go's text/template (https://pkg.go.dev/text/template, Go 1.19) cut into
// tokens, for peer/template_parser.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace weave {

enum class TokenKind : std::uint8_t {
  kText,        // outside of actions
  kLeftDelim,   // {{
  kRightDelim,  // }}
  kSpace,       // inside of actions, where it tells `.A.B` from `.A .B`
  kKeyword,     // if else end range with define template block break continue
  kIdentifier,  // a function
  kField,       // .Name
  kVariable,    // $ or $name
  kDot,
  kNil,
  kBool,
  kNumber,
  kCharacter,  // 'c', quotes included
  kString,     // "c", quotes included
  kRawString,  // `c`, quotes included
  kPipe,
  kDeclare,  // :=
  kAssign,   // =
  kComma,
  kLeftParen,
  kRightParen,
  kError,  // nothing follows
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::size_t position = 0;  // in bytes
  absl::string_view text;    // a part of the template
  std::string error;         // kError: what is wrong
};

// Never fails: what is malformed is an error token, the last. Otherwise the last is kEnd. `text` outlives the tokens.
std::vector<Token> Tokenize(absl::string_view text);

}  // namespace weave
