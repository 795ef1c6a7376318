// What a template means: the tree that peer/template_parser.h makes of its words and peer/report_template.h carries
// out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "peer/report_value.h"

namespace weave {

// A piece of the template's text, which messages quote.
struct TemplatePlace {
  std::size_t position = 0;  // in bytes: where messages point
  std::size_t begin = 0;     // the text is [begin, end)
  std::size_t end = 0;
};

struct TemplatePipeline;

// A word of a command, with the fields that follow it: `.A.B`, `$x.A`, `(pipeline).A`.
struct TemplateTerm {
  enum class Kind : std::uint8_t {
    kDot,       // also of `.A.B`
    kConstant,  // number, string, bool, character
    kNil,
    kVariable,
    kFunction,
    kPipeline,
  };

  Kind kind = Kind::kDot;
  TemplatePlace place;
  std::string name;                            // kVariable with its `$`, kFunction
  ReportValue constant;                        // kConstant
  std::unique_ptr<TemplatePipeline> pipeline;  // kPipeline
  std::vector<std::string> fields;
};

struct TemplateCommand {
  TemplatePlace place;
  std::vector<TemplateTerm> terms;  // at least one
};

// Commands joined by `|`: the result of each is the last argument of the next.
struct TemplatePipeline {
  TemplatePlace place;
  std::vector<std::string> variables;     // that take the result; with `range` up to two
  bool assigns = false;                   // `=`: the variables exist
  std::vector<TemplateCommand> commands;  // at least one
};

struct TemplateNode {
  enum class Kind : std::uint8_t { kText, kAction, kIf, kWith, kRange, kTemplate, kBreak, kContinue };

  Kind kind = Kind::kText;
  TemplatePlace place;
  std::string text;                            // kText; kTemplate: the name
  std::unique_ptr<TemplatePipeline> pipeline;  // null for texts, break, continue and a template without argument
  std::vector<TemplateNode> body;              // kIf, kWith, kRange
  std::vector<TemplateNode> otherwise;         // the same: what `else` has
};

// By name; the unnamed one is the whole.
using TemplateSet = absl::btree_map<std::string, std::vector<TemplateNode>>;

}  // namespace weave
