#include "peer/report_template.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "peer/go_format.h"
#include "peer/go_text.h"
#include "peer/template_functions.h"
#include "peer/template_parser.h"
#include "peer/template_tree.h"

namespace weave {
namespace {

using Term = TemplateTerm;
using Node = TemplateNode;

// Pipelines, blocks and templates that stand in each other. A level costs some hundred bytes of stack.
constexpr int kMaxDepth = 200;
constexpr std::size_t kMaxExcerptSize = 20;  // bytes, as in Go's messages

class Evaluator {
 public:
  Evaluator(absl::string_view text, const TemplateSet& templates, const ReportValue& report)
      : text_(text), templates_(templates), variables_{{"$", report}} {}

  absl::StatusOr<std::string> Run() && {
    const ReportValue report = variables_.front().second;
    RETURN_IF_ERROR(Walk(report, templates_.at("")).status());
    return std::move(out_);
  }

 private:
  // How a list of nodes ended.
  enum class Flow : std::uint8_t { kNext, kBreak, kContinue };

  class Depth {
   public:
    explicit Depth(int& depth) : depth_(depth) { ++depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;
    ~Depth() { --depth_; }

   private:
    int& depth_;
  };

  absl::Status ErrorAt(const TemplatePlace& place, absl::string_view message) const {
    absl::string_view excerpt = text_.substr(place.begin, place.end - place.begin);
    const bool cut = excerpt.size() > kMaxExcerptSize;
    if (cut) excerpt = excerpt.substr(0, kMaxExcerptSize);
    const std::string line =
        absl::StrCat("template: format:", TemplateLineAndColumn(text_, place.position), ": executing ", GoQuote(name_),
                     " at <", excerpt, cut ? "..." : "", ">: ", message);
    return absl::FailedPreconditionError(TemplateMessage(line));
  }

  // Says where a function failed; limits are no matter of a place.
  absl::Status AtPlace(const absl::Status& status, const TemplatePlace& place) const {
    return absl::IsFailedPrecondition(status) ? ErrorAt(place, status.message()) : status;
  }

  absl::Status Step(const TemplatePlace& place) {
    if (depth_ > kMaxDepth)
      return absl::ResourceExhaustedError(
          absl::StrCat("template: format:", TemplateLineAndColumn(text_, place.position),
                       ": exceeded maximum template depth (", kMaxDepth, ")"));
    return budget_.TakeStep();
  }

  absl::Status Emit(absl::string_view text) {
    RETURN_IF_ERROR(budget_.TakeSize(text.size()));
    absl::StrAppend(&out_, text);
    return absl::OkStatus();
  }

  // ---- nodes ----

  absl::StatusOr<Flow> Walk(const ReportValue& dot, const std::vector<Node>& nodes) {
    const Depth depth(depth_);
    for (const Node& node : nodes) {
      RETURN_IF_ERROR(Step(node.place));
      ASSIGN_OR_RETURN(const Flow flow, WalkNode(dot, node));
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  absl::StatusOr<Flow> WalkNode(const ReportValue& dot, const Node& node) {
    switch (node.kind) {
      case Node::Kind::kText:
        RETURN_IF_ERROR(Emit(node.text));
        return Flow::kNext;
      case Node::Kind::kAction:
        RETURN_IF_ERROR(WalkAction(dot, *node.pipeline));
        return Flow::kNext;
      case Node::Kind::kIf:
      case Node::Kind::kWith:
        return WalkCondition(dot, node);
      case Node::Kind::kRange:
        return WalkRange(dot, node);
      case Node::Kind::kTemplate:
        RETURN_IF_ERROR(WalkTemplate(dot, node));
        return Flow::kNext;
      case Node::Kind::kBreak:
        return Flow::kBreak;
      case Node::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  absl::Status WalkAction(const ReportValue& dot, const TemplatePipeline& pipeline) {
    ASSIGN_OR_RETURN(const ReportValue value, Evaluate(dot, pipeline));
    if (!pipeline.variables.empty()) return absl::OkStatus();
    return Emit(value.IsMissing() ? "<no value>" : GoPrint(value, budget_.print_limit()));
  }

  absl::StatusOr<Flow> WalkCondition(const ReportValue& dot, const Node& node) {
    const std::size_t variable_count = variables_.size();
    ASSIGN_OR_RETURN(const ReportValue value, Evaluate(dot, *node.pipeline));
    const bool with = node.kind == Node::Kind::kWith;
    absl::StatusOr<Flow> flow = value.IsTrue() ? Walk(with ? value : dot, node.body) : Walk(dot, node.otherwise);
    variables_.resize(variable_count);
    return flow;
  }

  absl::StatusOr<Flow> WalkRange(const ReportValue& dot, const Node& node) {
    const std::size_t variable_count = variables_.size();
    ASSIGN_OR_RETURN(const ReportValue value, Evaluate(dot, *node.pipeline));
    absl::StatusOr<bool> went = true;
    switch (value.kind()) {
      case ReportValue::Kind::kList: {
        std::int64_t index = 0;
        went = Rounds(node, value.AsList(), [&index](const ReportValue& element) {
          return std::pair<ReportValue, const ReportValue&>(ReportValue::Int(index++), element);
        });
        break;
      }
      case ReportValue::Kind::kMap:
        went = Rounds(node, value.AsMap(), [](const ReportValue::Map::value_type& entry) {
          return std::pair<ReportValue, const ReportValue&>(ReportValue::String(entry.first), entry.second);
        });
        break;
      case ReportValue::Kind::kNil:
        went = false;
        break;
      default:
        return ErrorAt(node.pipeline->place,
                       absl::StrCat("range can't iterate over ", GoPrint(value, kMaxExcerptSize)));
    }
    RETURN_IF_ERROR(went.status());
    variables_.resize(variable_count);
    if (*went) return Flow::kNext;
    absl::StatusOr<Flow> flow = Walk(dot, node.otherwise);
    variables_.resize(variable_count);
    return flow;
  }

  // The body once for each element; `split` gives its index or key, and its value. False when there is none.
  template <typename Elements, typename Split>
  absl::StatusOr<bool> Rounds(const Node& node, const Elements& elements, Split split) {
    const std::size_t count = node.pipeline->variables.size();
    const std::size_t first = variables_.size() - (node.pipeline->assigns ? 0 : count);
    for (const auto& element : elements) {
      const std::pair<ReportValue, const ReportValue&> round = split(element);
      const std::size_t mark = variables_.size();
      RETURN_IF_ERROR(Step(node.place));
      for (std::size_t i = 0; i < count; ++i) {
        const ReportValue& value = count == 2 && i == 0 ? round.first : round.second;
        if (node.pipeline->assigns)
          FindVariable(node.pipeline->variables[i])->second = value;
        else
          variables_[first + i].second = value;
      }
      ASSIGN_OR_RETURN(const Flow flow, Walk(round.second, node.body));
      variables_.resize(mark);
      if (flow == Flow::kBreak) break;
    }
    return !elements.empty();
  }

  absl::Status WalkTemplate(const ReportValue& dot, const Node& node) {
    ReportValue argument = ReportValue::Missing();
    if (node.pipeline != nullptr) {
      ASSIGN_OR_RETURN(argument, Evaluate(dot, *node.pipeline));
    }
    const auto found = templates_.find(node.text);
    if (found == templates_.end() || node.text.empty())
      return ErrorAt(node.place, absl::StrCat("template ", GoQuote(node.text), " not defined"));
    std::vector<Variable> outer = std::exchange(variables_, {{"$", argument}});
    std::string outer_name = std::exchange(name_, node.text);
    absl::Status status = Walk(argument, found->second).status();
    variables_ = std::move(outer);
    name_ = std::move(outer_name);
    return status;
  }

  // ---- pipelines ----

  using Variable = std::pair<std::string, ReportValue>;

  // The innermost of that name; null when it was declared in a branch that was not taken.
  Variable* FindVariable(absl::string_view name) {
    const auto found =
        std::find_if(variables_.rbegin(), variables_.rend(), [&](const Variable& v) { return v.first == name; });
    return found == variables_.rend() ? nullptr : &*found;
  }

  absl::StatusOr<ReportValue> Evaluate(const ReportValue& dot, const TemplatePipeline& pipeline) {
    const Depth depth(depth_);
    RETURN_IF_ERROR(Step(pipeline.place));
    ReportValue value;
    const ReportValue* piped = nullptr;
    for (const TemplateCommand& command : pipeline.commands) {
      ASSIGN_OR_RETURN(ReportValue result, EvaluateCommand(dot, command, piped));
      value = std::move(result);
      piped = &value;
    }
    for (const std::string& name : pipeline.variables) {
      if (!pipeline.assigns) {
        variables_.emplace_back(name, value);
      } else if (Variable* variable = FindVariable(name)) {
        variable->second = value;
      } else {
        return ErrorAt(pipeline.place, absl::StrCat("undefined variable: ", name));
      }
    }
    return value;
  }

  // `piped` is the result of the command before, or null.
  absl::StatusOr<ReportValue> EvaluateCommand(const ReportValue& dot, const TemplateCommand& command,
                                              const ReportValue* piped) {
    const Term& first = command.terms.front();
    if (first.kind == Term::Kind::kFunction && first.fields.empty()) return CallFunction(dot, command, piped);
    if (first.kind == Term::Kind::kNil) return ErrorAt(first.place, "nil is not a command");
    if (command.terms.size() > 1 || piped != nullptr) {
      const absl::string_view word = text_.substr(first.place.begin, first.place.end - first.place.begin);
      if (first.fields.empty()) return ErrorAt(first.place, absl::StrCat("can't give argument to non-function ", word));
      return ErrorAt(first.place,
                     absl::StrCat(first.fields.back(), " has arguments but cannot be invoked as function"));
    }
    return EvaluateTerm(dot, first);
  }

  absl::StatusOr<ReportValue> EvaluateTerm(const ReportValue& dot, const Term& term) {
    RETURN_IF_ERROR(Step(term.place));
    ReportValue value = dot;
    switch (term.kind) {
      case Term::Kind::kDot:
        break;
      case Term::Kind::kConstant:
        return term.constant;
      case Term::Kind::kNil:
        return ReportValue();
      case Term::Kind::kVariable: {
        const Variable* variable = FindVariable(term.name);
        if (variable == nullptr) return ErrorAt(term.place, absl::StrCat("undefined variable: ", term.name));
        value = variable->second;
        break;
      }
      case Term::Kind::kFunction: {
        absl::StatusOr<ReportValue> result =
            term.name == "and" || term.name == "or"
                ? absl::StatusOr<ReportValue>(ErrorAt(
                      term.place, absl::StrCat("wrong number of args for ", term.name, ": want at least 1 got 0")))
                : CallTemplateFunction(term.name, {}, budget_);
        if (!result.ok()) return AtPlace(result.status(), term.place);
        value = *std::move(result);
        break;
      }
      case Term::Kind::kPipeline: {
        ASSIGN_OR_RETURN(value, Evaluate(dot, *term.pipeline));
        break;
      }
    }
    for (const std::string& field : term.fields) {
      ASSIGN_OR_RETURN(ReportValue next, FieldOf(value, field, term.place));
      value = std::move(next);
    }
    return value;
  }

  absl::StatusOr<ReportValue> FieldOf(const ReportValue& value, const std::string& field,
                                      const TemplatePlace& place) const {
    switch (value.kind()) {
      case ReportValue::Kind::kNil:
        if (value.IsMissing()) return value;
        return ErrorAt(place, absl::StrCat("nil pointer evaluating .", field));
      case ReportValue::Kind::kMap: {
        const auto entry = value.AsMap().find(field);
        return entry == value.AsMap().end() ? ReportValue::Missing() : entry->second;
      }
      case ReportValue::Kind::kStruct: {
        if (const ReportValue* found = value.FindField(field)) return *found;
        const auto name = [](std::string* out, const ReportValue::Field& f) { out->append(f.first); };
        return ErrorAt(place, absl::StrCat("can't evaluate field ", field, " in a struct of ",
                                           absl::StrJoin(value.AsStruct().fields, ", ", name)));
      }
      default:
        return ErrorAt(place, absl::StrCat("can't evaluate field ", field, " in type ", value.TypeName()));
    }
  }

  absl::StatusOr<ReportValue> CallFunction(const ReportValue& dot, const TemplateCommand& command,
                                           const ReportValue* piped) {
    const Term& function = command.terms.front();
    RETURN_IF_ERROR(Step(function.place));
    if (function.name == "and" || function.name == "or") return AndOr(dot, command, piped);
    std::vector<ReportValue> args;
    for (std::size_t i = 1; i < command.terms.size(); ++i) {
      ASSIGN_OR_RETURN(ReportValue arg, EvaluateTerm(dot, command.terms[i]));
      args.push_back(std::move(arg));
    }
    if (piped != nullptr) args.push_back(*piped);
    absl::StatusOr<ReportValue> result = CallTemplateFunction(function.name, args, budget_);
    if (!result.ok()) return AtPlace(result.status(), command.place);
    return result;
  }

  // The first argument that decides; those behind it are not evaluated.
  absl::StatusOr<ReportValue> AndOr(const ReportValue& dot, const TemplateCommand& command, const ReportValue* piped) {
    const Term& function = command.terms.front();
    if (command.terms.size() == 1 && piped == nullptr)
      return ErrorAt(command.place,
                     absl::StrCat("wrong number of args for ", function.name, ": want at least 1 got 0"));
    const bool decisive = function.name == "or";
    ReportValue value;
    for (std::size_t i = 1; i < command.terms.size(); ++i) {
      ASSIGN_OR_RETURN(value, EvaluateTerm(dot, command.terms[i]));
      if (value.IsTrue() == decisive) return value;
    }
    return piped == nullptr ? value : *piped;
  }

  const absl::string_view text_;
  const TemplateSet& templates_;
  std::vector<Variable> variables_;  // innermost last
  std::string name_ = "format";      // of the template we are in
  TemplateBudget budget_;
  int depth_ = 0;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> RenderTemplate(absl::string_view text, const ReportValue& report) {
  if (text.size() > kMaxTemplateSize)
    return absl::ResourceExhaustedError(
        absl::StrCat("the template has ", text.size(), " bytes, want at most ", kMaxTemplateSize));
  ASSIGN_OR_RETURN(const TemplateSet templates, ParseTemplate(text));
  return Evaluator(text, templates, report).Run();
}

}  // namespace weave
