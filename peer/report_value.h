// The values a report is made of, with the distinctions that 2.8's programs can see: JSON tells null from absent, and
// templates tell a field that does not exist from a map's key that is not there (spec/control.md section 4).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"

namespace weave {

// Immutable, and cheap to copy: what is large is shared.
class ReportValue {
 public:
  enum class Kind : std::uint8_t { kNil, kBool, kInt, kUint, kFloat, kString, kList, kMap, kStruct };
  using List = std::vector<ReportValue>;
  using Map = absl::btree_map<std::string, ReportValue>;
  using Field = std::pair<std::string, ReportValue>;

  struct Struct;

  // Nil.
  ReportValue() : value_(Nothing::kNil) {}

  // Nil too, but a struct's JSON has no such field.
  static ReportValue Absent() { return ReportValue(Nothing::kAbsent); }
  // What a map has for a key that it does not have.
  static ReportValue Missing() { return ReportValue(Nothing::kMissing); }
  static ReportValue Bool(bool value) { return ReportValue(value); }
  static ReportValue Int(std::int64_t value) { return ReportValue(value); }
  static ReportValue Uint(std::uint64_t value) { return ReportValue(value); }
  static ReportValue Float(double value) { return ReportValue(value); }
  static ReportValue String(std::string value);
  static ReportValue String(absl::string_view value) { return String(std::string(value)); }
  static ReportValue String(const char* value) { return String(std::string(value)); }
  // Of no elements: JSON has `[]` for it.
  static ReportValue MakeList(List elements);
  // Of no elements: JSON has `null`, as everywhere in 2.8's report but for TrustedSubnets.
  static ReportValue ListOrNull(List elements);
  static ReportValue NullList();
  static ReportValue MakeMap(Map entries);
  static ReportValue NullMap();
  static ReportValue MakeStruct(std::vector<Field> fields, std::string text = "", std::string json = "");

  Kind kind() const;
  bool IsNil() const { return kind() == Kind::kNil; }
  bool IsAbsent() const { return Is(Nothing::kAbsent); }
  bool IsMissing() const { return Is(Nothing::kMissing); }
  bool IsInteger() const { return kind() == Kind::kInt || kind() == Kind::kUint; }

  // Each is for its kind only.
  bool AsBool() const { return std::get<bool>(value_); }
  std::int64_t AsInt() const { return std::get<std::int64_t>(value_); }
  std::uint64_t AsUint() const { return std::get<std::uint64_t>(value_); }
  double AsFloat() const { return std::get<double>(value_); }
  const std::string& AsString() const { return *std::get<StringPtr>(value_); }
  const List& AsList() const;  // empty for a null list
  const Map& AsMap() const;    // empty for a null map
  const Struct& AsStruct() const { return *std::get<StructPtr>(value_); }

  // Whether JSON has `null` for it.
  bool IsNull() const;

  // Null when the struct has no such field.
  const ReportValue* FindField(absl::string_view name) const;

  // Not zero, not empty, not nil: what `if` asks.
  bool IsTrue() const;

  // `int`, `string`, `list`: for messages.
  const char* TypeName() const;

  // As Go's encoder writes it: `<`, `>` and `&` escaped, invalid UTF-8 replaced, keys of maps sorted.
  std::string ToJson() const;
  // The same with every element on a line of its own, four blanks deeper than what it is part of.
  std::string ToIndentedJson() const;

 private:
  enum class Nothing : std::uint8_t { kNil, kAbsent, kMissing };
  using StringPtr = std::shared_ptr<const std::string>;
  using ListPtr = std::shared_ptr<const List>;  // null: a null list
  using MapPtr = std::shared_ptr<const Map>;    // null: a null map
  using StructPtr = std::shared_ptr<const Struct>;
  using Variant =
      std::variant<Nothing, bool, std::int64_t, std::uint64_t, double, StringPtr, ListPtr, MapPtr, StructPtr>;

  template <typename T>
  explicit ReportValue(T value) : value_(std::move(value)) {}

  bool Is(Nothing nothing) const {
    const Nothing* mine = std::get_if<Nothing>(&value_);
    return mine != nullptr && *mine == nothing;
  }

  Variant value_;
};

// Fields in the order of the report. Some print otherwise than field by field, and some have a JSON of their own.
struct ReportValue::Struct {
  std::vector<Field> fields;
  std::string text;  // not empty: how it prints
  std::string json;  // not empty: its JSON, a string before quoting
};

}  // namespace weave
