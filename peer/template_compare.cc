#include "peer/template_compare.h"

#include <compare>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

using Kind = ReportValue::Kind;
using Operands = absl::Span<const ReportValue>;

absl::Status Incompatible() { return absl::FailedPreconditionError("incompatible types for comparison"); }

std::partial_ordering OrderIntegers(const ReportValue& a, const ReportValue& b) {
  if (a.kind() == Kind::kInt && b.kind() == Kind::kInt) return a.AsInt() <=> b.AsInt();
  if (a.kind() == Kind::kUint && b.kind() == Kind::kUint) return a.AsUint() <=> b.AsUint();
  if (a.kind() == Kind::kUint) return 0 <=> OrderIntegers(b, a);
  if (a.AsInt() < 0) return std::partial_ordering::less;
  return static_cast<std::uint64_t>(a.AsInt()) <=> b.AsUint();
}

bool Comparable(Kind kind) { return kind != Kind::kList && kind != Kind::kMap && kind != Kind::kStruct; }

absl::StatusOr<bool> Equal(const ReportValue& a, const ReportValue& b) {
  for (const ReportValue* value : {&a, &b})
    if (!Comparable(value->kind()))
      return absl::FailedPreconditionError(absl::StrCat("uncomparable type ", value->TypeName()));
  if (a.IsNil() || b.IsNil()) return a.IsNil() && b.IsNil();
  if (a.IsInteger() && b.IsInteger()) return OrderIntegers(a, b) == 0;
  if (a.kind() != b.kind()) return Incompatible();
  switch (a.kind()) {
    case Kind::kBool:
      return a.AsBool() == b.AsBool();
    case Kind::kFloat:
      return a.AsFloat() == b.AsFloat();
    default:
      return a.AsString() == b.AsString();
  }
}

absl::StatusOr<std::partial_ordering> Order(const ReportValue& a, const ReportValue& b) {
  if (a.IsInteger() && b.IsInteger()) return OrderIntegers(a, b);
  for (const ReportValue* value : {&a, &b})
    if (!Comparable(value->kind()) || value->kind() == Kind::kBool || value->IsNil())
      return absl::FailedPreconditionError("invalid type for comparison");
  if (a.kind() != b.kind()) return Incompatible();
  if (a.kind() == Kind::kFloat) return a.AsFloat() <=> b.AsFloat();
  return a.AsString().compare(b.AsString()) <=> 0;
}

template <typename Predicate>
absl::StatusOr<ReportValue> Ordered(Operands args, Predicate predicate) {
  ASSIGN_OR_RETURN(const std::partial_ordering order, Order(args[0], args[1]));
  return ReportValue::Bool(predicate(order));
}

}  // namespace

absl::StatusOr<ReportValue> TemplateEq(Operands args) {
  if (args.size() < 2) return absl::FailedPreconditionError("missing argument for comparison");
  for (const ReportValue& other : args.subspan(1)) {
    ASSIGN_OR_RETURN(const bool equal, Equal(args[0], other));
    if (equal) return ReportValue::Bool(true);
  }
  return ReportValue::Bool(false);
}

absl::StatusOr<ReportValue> TemplateNe(Operands args) {
  ASSIGN_OR_RETURN(const bool equal, Equal(args[0], args[1]));
  return ReportValue::Bool(!equal);
}

absl::StatusOr<ReportValue> TemplateLt(Operands args) {
  return Ordered(args, [](std::partial_ordering order) { return order < 0; });
}

absl::StatusOr<ReportValue> TemplateLe(Operands args) {
  return Ordered(args, [](std::partial_ordering order) { return order <= 0; });
}

absl::StatusOr<ReportValue> TemplateGt(Operands args) {
  return Ordered(args, [](std::partial_ordering order) { return order > 0; });
}

absl::StatusOr<ReportValue> TemplateGe(Operands args) {
  return Ordered(args, [](std::partial_ordering order) { return order >= 0; });
}

}  // namespace weave
