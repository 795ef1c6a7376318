#include "peer/template_functions.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/status.h"
#include "peer/go_format.h"
#include "peer/go_text.h"
#include "peer/template_compare.h"

namespace weave {
namespace {

using Args = std::vector<ReportValue>;
using Result = absl::StatusOr<ReportValue>;

absl::Status Misuse(absl::string_view text) { return absl::FailedPreconditionError(text); }

Result Len(const Args& args, TemplateBudget&) {
  switch (args[0].kind()) {
    case ReportValue::Kind::kString:
      return ReportValue::Int(static_cast<std::int64_t>(args[0].AsString().size()));
    case ReportValue::Kind::kList:
      return ReportValue::Int(static_cast<std::int64_t>(args[0].AsList().size()));
    case ReportValue::Kind::kMap:
      return ReportValue::Int(static_cast<std::int64_t>(args[0].AsMap().size()));
    case ReportValue::Kind::kNil:
      return Misuse("len of nil pointer");
    default:
      return Misuse(absl::StrCat("len of type ", args[0].TypeName()));
  }
}

// A position in something of `size` elements: 0..`limit`.
absl::StatusOr<std::size_t> Position(const ReportValue& value, std::size_t limit) {
  if (value.kind() == ReportValue::Kind::kUint && value.AsUint() <= limit) return value.AsUint();
  if (value.kind() == ReportValue::Kind::kInt && value.AsInt() >= 0 &&
      static_cast<std::uint64_t>(value.AsInt()) <= limit)
    return static_cast<std::size_t>(value.AsInt());
  if (value.IsInteger()) return Misuse(absl::StrCat("index out of range: ", GoPrint(value, 32)));
  if (value.IsNil()) return Misuse("cannot index slice/array with nil");
  return Misuse(absl::StrCat("cannot index slice/array with type ", value.TypeName()));
}

Result Element(const ReportValue& item, const ReportValue& index) {
  switch (item.kind()) {
    case ReportValue::Kind::kList: {
      const ReportValue::List& list = item.AsList();
      ASSIGN_OR_RETURN(const std::size_t position, Position(index, list.size()));
      if (position < list.size()) return list[position];
      return Misuse(absl::StrCat("index out of range: ", position));
    }
    case ReportValue::Kind::kString: {
      const std::string& text = item.AsString();
      ASSIGN_OR_RETURN(const std::size_t position, Position(index, text.size()));
      if (position < text.size()) return ReportValue::Int(static_cast<unsigned char>(text[position]));
      return Misuse(absl::StrCat("index out of range: ", position));
    }
    case ReportValue::Kind::kMap: {
      if (index.kind() != ReportValue::Kind::kString)
        return Misuse(absl::StrCat("value has type ", index.TypeName(), "; should be string"));
      const auto entry = item.AsMap().find(index.AsString());
      return entry == item.AsMap().end() ? ReportValue::Missing() : entry->second;
    }
    case ReportValue::Kind::kNil:
      return Misuse("index of untyped nil");
    default:
      return Misuse(absl::StrCat("can't index item of type ", item.TypeName()));
  }
}

Result Index(const Args& args, TemplateBudget&) {
  ReportValue item = args[0];
  for (const ReportValue& index : absl::MakeConstSpan(args).subspan(1)) {
    ASSIGN_OR_RETURN(item, Element(item, index));
  }
  return item;
}

Result Slice(const Args& args, TemplateBudget& budget) {
  const ReportValue& item = args[0];
  const bool is_text = item.kind() == ReportValue::Kind::kString;
  if (item.IsNil()) return Misuse("slice of untyped nil");
  if (!is_text && item.kind() != ReportValue::Kind::kList)
    return Misuse(absl::StrCat("can't slice item of type ", item.TypeName()));
  if (args.size() > 4) return Misuse(absl::StrCat("too many slice indexes: ", args.size() - 1));
  if (args.size() > 3 && is_text) return Misuse("cannot 3-index slice a string");
  const std::size_t size = is_text ? item.AsString().size() : item.AsList().size();
  std::array<std::size_t, 3> bounds = {0, size, size};
  for (std::size_t i = 1; i < args.size(); ++i) {
    ASSIGN_OR_RETURN(bounds[i - 1], Position(args[i], size));
  }
  for (std::size_t i = 0; i < 2; ++i)
    if (bounds[i] > bounds[i + 1])
      return Misuse(absl::StrCat("invalid slice index: ", bounds[i], " > ", bounds[i + 1]));
  const auto begin = static_cast<std::ptrdiff_t>(bounds[0]);
  const auto end = static_cast<std::ptrdiff_t>(bounds[1]);
  if (is_text) return ReportValue::String(item.AsString().substr(bounds[0], bounds[1] - bounds[0]));
  RETURN_IF_ERROR(budget.TakeSize((bounds[1] - bounds[0]) * sizeof(ReportValue)));
  return ReportValue::MakeList({item.AsList().begin() + begin, item.AsList().begin() + end});
}

Result Not(const Args& args, TemplateBudget&) { return ReportValue::Bool(!args[0].IsTrue()); }

Result Print(const Args& args, TemplateBudget& budget) {
  return ReportValue::String(GoSprint(args, budget.print_limit()));
}

Result Println(const Args& args, TemplateBudget& budget) {
  return ReportValue::String(GoSprintln(args, budget.print_limit()));
}

Result Printf(const Args& args, TemplateBudget& budget) {
  if (args[0].kind() != ReportValue::Kind::kString)
    return Misuse(absl::StrCat("wrong type for value; expected string; got ", args[0].TypeName()));
  return ReportValue::String(GoSprintf(args[0].AsString(), absl::MakeConstSpan(args).subspan(1), budget.print_limit()));
}

Result Json(const Args& args, TemplateBudget&) { return ReportValue::String(args[0].ToJson()); }

// What the escaping functions escape: a string as it is, anything else printed.
absl::StatusOr<std::string> TextOf(const Args& args, std::size_t growth, TemplateBudget& budget) {
  const bool is_text = args.size() == 1 && args[0].kind() == ReportValue::Kind::kString;
  std::string text = is_text ? args[0].AsString() : GoSprint(args, budget.print_limit());
  RETURN_IF_ERROR(budget.TakeSize(text.size() * growth));
  return text;
}

Result Html(const Args& args, TemplateBudget& budget) {
  ASSIGN_OR_RETURN(const std::string text, TextOf(args, 5, budget));
  return ReportValue::String(absl::StrReplaceAll(text, {{"&", "&amp;"},
                                                        {"'", "&#39;"},
                                                        {"\"", "&#34;"},
                                                        {"<", "&lt;"},
                                                        {">", "&gt;"},
                                                        {absl::string_view("\0", 1), "\xef\xbf\xbd"}}));
}

Result Js(const Args& args, TemplateBudget& budget) {
  ASSIGN_OR_RETURN(const std::string text, TextOf(args, 6, budget));
  std::string out;
  for (absl::string_view rest = text; !rest.empty();) {
    const Rune rune = FirstRune(rest);
    const absl::string_view bytes = rest.substr(0, rune.size);
    rest.remove_prefix(rune.size);
    if (rune.code == '\\' || rune.code == '\'' || rune.code == '"')
      absl::StrAppend(&out, "\\", bytes);
    else if (rune.code < 0x20 || (rune.code >= 0x7f && rune.code < 0xa1) ||
             absl::string_view("<>&=").find(bytes) != absl::string_view::npos)
      absl::StrAppendFormat(&out, "\\u%04X", rune.code);
    else
      absl::StrAppend(&out, bytes);
  }
  return ReportValue::String(std::move(out));
}

Result UrlQuery(const Args& args, TemplateBudget& budget) {
  ASSIGN_OR_RETURN(const std::string text, TextOf(args, 3, budget));
  std::string out;
  for (const char c : text) {
    if (absl::ascii_isalnum(c) || absl::string_view("-_.~").find(c) != absl::string_view::npos)
      out += c;
    else if (c == ' ')
      out += '+';
    else
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
  }
  return ReportValue::String(std::move(out));
}

template <Result (*kCompare)(absl::Span<const ReportValue>)>
Result Comparison(const Args& args, TemplateBudget&) {
  return kCompare(args);
}

struct Function {
  absl::string_view name;
  Result (*run)(const Args&, TemplateBudget&);  // null: the evaluator's own
  std::size_t min_count;
  std::size_t max_count;  // of arguments
};

constexpr std::size_t kAny = SIZE_MAX;

constexpr Function kFunctions[] = {
    {"and", nullptr, 1, kAny},
    {"eq", Comparison<TemplateEq>, 1, kAny},
    {"ge", Comparison<TemplateGe>, 2, 2},
    {"gt", Comparison<TemplateGt>, 2, 2},
    {"html", Html, 0, kAny},
    {"index", Index, 1, kAny},
    {"js", Js, 0, kAny},
    {"json", Json, 1, 1},
    {"le", Comparison<TemplateLe>, 2, 2},
    {"len", Len, 1, 1},
    {"lt", Comparison<TemplateLt>, 2, 2},
    {"ne", Comparison<TemplateNe>, 2, 2},
    {"not", Not, 1, 1},
    {"or", nullptr, 1, kAny},
    {"print", Print, 0, kAny},
    {"printf", Printf, 1, kAny},
    {"println", Println, 0, kAny},
    {"slice", Slice, 1, kAny},
    {"urlquery", UrlQuery, 0, kAny},
};

const Function* Find(absl::string_view name) {
  const auto* found = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                   [&](const Function& function) { return function.name == name; });
  return found == std::end(kFunctions) ? nullptr : found;
}

std::size_t SizeOf(const ReportValue& value) {
  return value.kind() == ReportValue::Kind::kString ? value.AsString().size() : 0;
}

}  // namespace

absl::Status TemplateBudget::TakeSize(std::size_t size) {
  if (size > size_left_)
    return absl::ResourceExhaustedError(absl::StrCat("the template makes more than ", kMaxSize >> 20, " MiB of text"));
  size_left_ -= size;
  return absl::OkStatus();
}

absl::Status TemplateBudget::TakeStep() {
  if (steps_left_ == 0)
    return absl::ResourceExhaustedError(absl::StrCat("the template takes more than ", kMaxStepCount, " steps"));
  --steps_left_;
  return absl::OkStatus();
}

bool IsTemplateFunction(absl::string_view name) { return Find(name) != nullptr; }

absl::StatusOr<ReportValue> CallTemplateFunction(absl::string_view name, const std::vector<ReportValue>& args,
                                                 TemplateBudget& budget) {
  const Function* function = Find(name);
  CHECK(function != nullptr && function->run != nullptr) << name;
  if (args.size() < function->min_count || args.size() > function->max_count)
    return Misuse(absl::StrCat("wrong number of args for ", name, ": want ",
                               function->max_count == kAny ? "at least " : "", function->min_count, " got ",
                               args.size()));
  for (const ReportValue& arg : args) RETURN_IF_ERROR(budget.TakeSize(SizeOf(arg)));
  absl::StatusOr<ReportValue> result = function->run(args, budget);
  if (absl::IsFailedPrecondition(result.status()))
    return Annotate(result.status(), absl::StrCat("error calling ", name));
  RETURN_IF_ERROR(result.status());
  RETURN_IF_ERROR(budget.TakeSize(SizeOf(*result)));
  return result;
}

}  // namespace weave
