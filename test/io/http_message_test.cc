#include "io/http_message.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("A form decodes escapes and blanks and keeps repeated keys in order", "[http]") {
  const auto form = ParseForm("peer=10.0.0.1&peer=h%C3%B6st%3A6783&replace=true&text=a+b%2Bc&flag&&=x&a=b=c");
  REQUIRE(form.ok());
  CHECK(form->All("peer") == std::vector<std::string>{"10.0.0.1", "h\xC3\xB6st:6783"});
  CHECK(form->First("replace") == "true");
  CHECK(form->First("text") == "a b+c");
  CHECK(form->First("flag") == "");
  CHECK(form->First("") == "x");
  CHECK(form->First("a") == "b=c");
  CHECK(form->First("absent") == std::nullopt);
  CHECK(ParseForm("")->pairs().empty());
}

TEST_CASE("A form with a malformed escape is refused by name", "[http]") {
  for (const char* text : {"a=%", "a=%4", "a=%g0", "%zz=1", "ok=1&a=%1x"}) {
    INFO(text);
    const auto form = ParseForm(text);
    CHECK(form.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(form.status().message()).find("malformed escape in \"") == 0);
  }
}

TEST_CASE("The fields of a request come from a form body, then from the query", "[http]") {
  HttpRequest request;
  request.method = "POST";
  request.query = "peer=query&skipNAT=true";
  request.body = "peer=body";
  request.headers = {{"content-TYPE", "application/x-www-form-urlencoded; charset=utf-8"}};
  CHECK(ParseForm(request)->All("peer") == std::vector<std::string>{"body", "query"});

  request.method = "GET";
  CHECK(ParseForm(request)->All("peer") == std::vector<std::string>{"query"});

  request.method = "POST";
  request.headers = {{"Content-Type", "application/json"}};
  CHECK(ParseForm(request)->All("peer") == std::vector<std::string>{"query"});
}

TEST_CASE("A request target splits into path and query", "[http]") {
  struct Row {
    const char* target;
    const char* path;
    const char* query;
  };
  for (const Row& row : {Row{"/", "/", ""}, Row{"/a/b?c=d?e", "/a/b", "c=d?e"}, Row{"http://h:1/a?b", "/a", "b"},
                         Row{"http://h", "/", ""}, Row{"http://h?q", "/", "q"}}) {
    INFO(row.target);
    HttpRequest request;
    REQUIRE(SplitTarget(row.target, request).ok());
    CHECK(request.path == row.path);
    CHECK(request.query == row.query);
  }
  HttpRequest request;
  CHECK(SplitTarget("*", request).code() == absl::StatusCode::kInvalidArgument);
  CHECK(SplitTarget("", request).code() == absl::StatusCode::kInvalidArgument);
  CHECK(SplitTarget("status", request).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Header names compare without case", "[http]") {
  HttpRequest request;
  request.headers = {{"Accept", "application/json"}, {"accept", "text/plain"}};
  CHECK(request.Header("ACCEPT") == absl::string_view("application/json"));
  CHECK_FALSE(request.Header("Host").has_value());
}

}  // namespace
}  // namespace weave
