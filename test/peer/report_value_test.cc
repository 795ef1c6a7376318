// What a report is made of: its JSON, what is true of it, and how Go prints numbers and text.
#include "peer/report_value.h"

#include <limits>
#include <string>

#include "peer/go_format.h"
#include "peer/go_text.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Value = ReportValue;

constexpr std::size_t kPlenty = 1'000'000;

TEST_CASE("JSON tells null, empty and absent apart", "[peer][report]") {
  const Value value = Value::MakeStruct({{"Nil", Value()},
                                         {"Absent", Value::Absent()},
                                         {"NullList", Value::NullList()},
                                         {"None", Value::ListOrNull({})},
                                         {"List", Value::MakeList({})},
                                         {"NullMap", Value::NullMap()},
                                         {"Map", Value::MakeMap({})},
                                         {"Struct", Value::MakeStruct({{"A", Value::Absent()}})}});
  CHECK(value.ToJson() == R"({"Nil":null,"NullList":null,"None":null,"List":[],"NullMap":null,"Map":{},"Struct":{}})");
  CHECK(
      value.ToIndentedJson() ==
      "{\n    \"Nil\": null,\n    \"NullList\": null,\n    \"None\": null,\n    \"List\": [],\n    \"NullMap\": null,\n"
      "    \"Map\": {},\n    \"Struct\": {}\n}");
}

TEST_CASE("Numbers are exact", "[peer][report]") {
  const Value value =
      Value::MakeList({Value::Uint(std::numeric_limits<std::uint64_t>::max()),
                       Value::Int(std::numeric_limits<std::int64_t>::min()), Value::Float(0.1), Value::Float(1e20),
                       Value::Float(1e21), Value::Float(1e-6), Value::Float(1e-7), Value::Float(-2.5)});
  CHECK(value.ToJson() ==
        "[18446744073709551615,-9223372036854775808,0.1,100000000000000000000,1e+21,0.000001,1e-7,-2.5]");
}

TEST_CASE("Zero, empty and nil are false, everything else is true", "[peer][report]") {
  for (const Value& value :
       {Value(), Value::Absent(), Value::Missing(), Value::Bool(false), Value::Int(0), Value::Uint(0), Value::Float(0),
        Value::String(""), Value::MakeList({}), Value::NullList(), Value::MakeMap({}), Value::NullMap()})
    CHECK_FALSE(value.IsTrue());
  for (const Value& value : {Value::Bool(true), Value::Int(-1), Value::Uint(1), Value::Float(0.5), Value::String(" "),
                             Value::MakeList({Value()}), Value::MakeMap({{"", Value()}}), Value::MakeStruct({})})
    CHECK(value.IsTrue());
}

TEST_CASE("Malformed UTF-8 is replaced byte by byte", "[peer][report]") {
  struct Row {
    const char* text;
    const char* json;
  };
  constexpr Row kRows[] = {
      {"\x80", "\"\\ufffd\""},
      {"\xc3", "\"\\ufffd\""},
      {"\xc0\xaf", "\"\\ufffd\\ufffd\""},             // overlong
      {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},  // half a surrogate pair
      {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""},
      {"\xe2\x82", "\"\\ufffd\\ufffd\""},
      {"\xe2\x82\xac", "\"\xe2\x82\xac\""},
      {"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
      {"a\n\r\t\b\"\\\x7f", "\"a\\n\\r\\t\\u0008\\\"\\\\\x7f\""},
  };
  for (const Row& row : kRows) CHECK(Value::String(row.text).ToJson() == row.json);
}

TEST_CASE("Printing stops when the text is long enough", "[peer][report]") {
  const Value list = Value::MakeList(Value::List(1000, Value::String("0123456789")));
  CHECK(GoPrint(list, kPlenty).size() == 11'001);
  CHECK(GoPrint(list, 100).size() < 120);
  CHECK(GoSprintf("%1000d", {list}, 5000).size() < 6100);
}

}  // namespace
}  // namespace weave
