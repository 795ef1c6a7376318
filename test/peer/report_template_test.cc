// Templates against what Go's own text/template printed (golden/templates.json), and where we differ or stop.
#include "peer/report_template.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "peer/template_functions.h"
#include "peer/template_parser.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Value = ReportValue;

// The value the golden outputs were made from.
Value Data() {
  const auto strings = [](std::initializer_list<const char*> texts) {
    Value::List list;
    for (const char* text : texts) list.push_back(Value::String(text));
    return Value::MakeList(list);
  };
  const auto connection = [](const char* address, bool outbound) {
    return Value::MakeStruct({{"A", Value::String(address)}, {"O", Value::Bool(outbound)}});
  };
  const Value inner = Value::MakeStruct({{"Name", Value::String("00:01")},
                                         {"NickName", Value::String("p1")},
                                         {"Conns", Value::MakeList({connection("x", true), connection("y", false)})},
                                         {"Attrs", Value::MakeMap({{"mtu", Value::Int(1438)},
                                                                   {"name", Value::String("sleeve")},
                                                                   {"encrypted", Value::Bool(true)}})}});
  return Value::MakeStruct(
      {{"Ready", Value::Bool(true)},
       {"Version", Value::String("3.0.0")},
       {"N", Value::Int(5)},
       {"Neg", Value::Int(-7)},
       {"UID", Value::Uint(16'630'265'066'229'399'384U)},
       {"F", Value::Float(1.5)},
       {"S", Value::String("he said \"hi\" <&>'\n\u00e9")},
       {"E", Value::String("")},
       {"L", strings({"a", "b", "c"})},
       {"LI", Value::MakeList({Value::Int(1), Value::Int(2), Value::Int(3)})},
       {"EL", Value::MakeList({})},
       {"MapM", Value::MakeMap({{"x", Value::Int(1)}, {"a", Value::Int(2)}, {"m", Value::Int(3)}})},
       {"MapE", Value::MakeMap({})},
       {"R", inner},
       {"Nil", Value()}});
}

std::string Printed(const std::string& text) {
  const absl::StatusOr<std::string> printed = RenderTemplate(text, Data());
  INFO(text);
  INFO(printed.status());
  REQUIRE(printed.ok());
  return *printed;
}

absl::Status Refusal(const std::string& text) {
  const absl::Status status = RenderTemplate(text, Data()).status();
  INFO(text.substr(0, 100));
  REQUIRE_FALSE(status.ok());
  return status;
}

TEST_CASE("Templates print what Go prints, and are refused with Go's words", "[peer][template][golden]") {
  std::ifstream file(WEAVE_SOURCE_DIR "/test/golden/templates.json");
  const nlohmann::json golden = nlohmann::json::parse(file);
  int count = 0;
  for (const nlohmann::json& row : golden.at("templates")) {
    const std::string text = row.at("template");
    INFO(text);
    const absl::StatusOr<std::string> printed = RenderTemplate(text, Data());
    INFO(printed.status());
    if (row.contains("error")) {
      CHECK(printed.status().message() == row.at("error").get<std::string>());
    } else {
      CHECK((printed.ok() ? *printed : "") == row.at("output").get<std::string>());
      CHECK(printed.ok());
    }
    ++count;
  }
  CHECK(count > 200);
}

TEST_CASE("A wrong name is refused with the names there are", "[peer][template]") {
  const absl::Status status = Refusal("\n{{.R.Nope}}");
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(status.message() ==
        "template: format:2:4: executing \"format\" at <.R.Nope>: can't evaluate field Nope in a struct of Name, "
        "NickName, Conns, Attrs");
}

TEST_CASE("Who asks can tell a template that is none from one that does not suit the report", "[peer][template]") {
  for (const char* malformed : {"{{", "{{foo}}", "{{if .N}}", "{{$x}}", "{{call .N}}", "{{1i}}", "{{1 | 2}}"})
    CHECK(absl::IsInvalidArgument(Refusal(malformed)));
  for (const char* unsuitable : {"{{.Nope}}", "{{.Nil.Name}}", "{{len .N}}", "{{index .L 3}}", "{{eq 1 \"a\"}}",
                                 "{{template \"nope\"}}", "{{range .N}}{{end}}", "{{printf 5}}"})
    CHECK(absl::IsFailedPrecondition(Refusal(unsuitable)));
}

TEST_CASE("Messages are one short line, whatever the template says", "[peer][template]") {
  const std::vector<std::string> texts = {
      "{{\n.Nope\n}}" + std::string(5000, 'x'),  "{{" + std::string(5000, 'x') + "}}",
      "{{.Nope" + std::string(5000, 'x') + "}}", "{{\"" + std::string(4999, '\\') + "q\"}}",
      std::string("{{template \"a\\nb\"}}"),     std::string("{{\xff\x01}}")};
  for (const std::string& text : texts) {
    const absl::Status status = Refusal(text);
    CHECK_FALSE(absl::StrContains(status.message(), "\n"));
    CHECK(status.message().size() < 500);
  }
}

TEST_CASE("Templates in templates have a dot, a name and variables of their own", "[peer][template]") {
  CHECK(Printed("{{define \"a\"}}{{.}}{{$}}{{end}}{{$x := 1}}{{template \"a\" .N}}{{$x}}") == "551");
  CHECK(Refusal("{{$x := 1}}{{define \"a\"}}{{$x}}{{end}}").message() ==
        "template: format:1: undefined variable \"$x\"");
  CHECK(absl::StrContains(Refusal("{{define \"a\"}}{{.X}}{{end}}{{template \"a\" .N}}").message(),
                          "executing \"a\" at <.X>"));
}

TEST_CASE("Assignments in a range reach the variable outside", "[peer][template]") {
  CHECK(Printed("{{$x := 0}}{{range .L}}{{$x = .}}{{end}}{{$x}}") == "c");
  CHECK(Printed("{{$x := 0}}{{range $x = .L}}{{end}}{{$x}}") == "c");
  CHECK(Printed("{{$n := 0}}{{range $i, $e := .L}}{{if eq $e \"b\"}}{{$n = $i}}{{end}}{{end}}{{$n}}") == "1");
}

TEST_CASE("What follows a break or continue is left out, in inner ranges alone", "[peer][template]") {
  CHECK(Printed("{{range .L}}{{.}}{{range $.LI}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}} {{end}}") == "a1 b1 c1 ");
  CHECK(Printed("{{range .L}}{{with .}}{{if eq . \"b\"}}{{continue}}{{end}}{{end}}{{.}}{{end}}") == "ac");
}

std::string Repeated(int count, absl::string_view text) {
  std::string all;
  for (int i = 0; i < count; ++i) absl::StrAppend(&all, text);
  return all;
}

TEST_CASE("A template cannot use up the peer's memory or time", "[peer][template]") {
  const std::string loops = Repeated(20, "{{range $.LI}}");
  const std::string ends = Repeated(20, "{{end}}");
  const std::string doubled = "{{$x := \"0123456789\"}}" + Repeated(40, "{{$x = print $x $x}}");
  const std::vector<std::string> texts = {
      std::string(kMaxTemplateSize + 1, 'x'),
      loops + "x" + ends,                                         // 3^20 rounds
      loops + "{{printf \"%1000000d\" 1}}" + ends,                // much text
      "{{printf \"" + Repeated(2000, "%1000000[1]d") + "\" 1}}",  // in one call
      "{{printf \"%999999d\" .LI | printf \"" + Repeated(20, "%[1]q") + "\"}}",
      doubled,  // much text that is not printed
      doubled + "{{len (js $x)}}",
      "{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}",
  };
  for (const std::string& text : texts) {
    const absl::Status status = Refusal(text);
    INFO(status);
    CHECK(absl::IsResourceExhausted(status));
  }
}

TEST_CASE("Nesting ends before the stack does", "[peer][template]") {
  const auto parens = [](int count) {
    return "{{" + std::string(static_cast<std::size_t>(count), '(') + "1" +
           std::string(static_cast<std::size_t>(count), ')') + "}}";
  };
  CHECK(Printed(parens(kMaxTemplateNesting - 1)) == "1");
  CHECK(absl::StrContains(Refusal(parens(kMaxTemplateNesting)).message(), "nested more than"));
  CHECK(absl::IsInvalidArgument(Refusal(parens(30'000))));
  CHECK(absl::IsInvalidArgument(Refusal(Repeated(5000, "{{if 1}}"))));
  CHECK(absl::IsInvalidArgument(Refusal(Repeated(4000, "{{if 1}}{{else"))));
  CHECK(absl::IsInvalidArgument(Refusal(Repeated(3000, "{{block \"x\" .}}"))));
}

}  // namespace
}  // namespace weave
