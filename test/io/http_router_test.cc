#include "io/http_router.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "io/http_message.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// Sends one request through a router and keeps the answer.
struct Outcome {
  HttpResponse response;
  int answer_count = 0;
};

Outcome Ask(const HttpRouter& router, const std::string& method, const std::string& target) {
  Outcome outcome;
  HttpRequest request;
  request.method = method;
  REQUIRE(SplitTarget(target, request).ok());
  const auto exchange = std::make_shared<HttpExchange>([&outcome](HttpResponse response) {
    outcome.response = std::move(response);
    ++outcome.answer_count;
  });
  router.Dispatch(std::move(request), HttpReply(exchange));
  return outcome;
}

void Echo(HttpCall call) {
  std::string text;
  for (const auto& [name, value] : call.params) text += name + "=" + value + ";";
  call.reply.Send(HttpResponse{.status = 200, .content_type = "", .body = text});
}

void Table(HttpRouter& router) {
  router.Add("GET", "/status", Echo);
  router.Add("POST", "/expose/{ip}/{prefixlen}", Echo);
  router.Add("GET", "/ip/{id}", Echo);
  router.Add("POST", "/ip/{id}", Echo);
  router.Add("DELETE", "/peer", Echo);
}

TEST_CASE("A request goes to the handler of its method and path, with the path's parameters decoded", "[http]") {
  HttpRouter router;
  Table(router);
  struct Row {
    const char* method;
    const char* target;
    int status;
    const char* body;
  };
  const Row rows[] = {
      {"GET", "/status", 200, ""},
      {"GET", "/status?a=b", 200, ""},
      {"GET", "http://127.0.0.1:6784/status", 200, ""},
      {"POST", "/expose/10.2.0.1/16", 200, "ip=10.2.0.1;prefixlen=16;"},
      {"GET", "/ip/weave:expose", 200, "id=weave:expose;"},
      {"GET", "/ip/weave%3Aexpose", 200, "id=weave:expose;"},
      {"GET", "/ip/a+b%20c", 200, "id=a+b c;"},
      {"GET", "/%73tatus", 200, ""},
      {"GET", "/nothing", 404, "404 page not found\n"},
      {"GET", "/", 404, "404 page not found\n"},
      {"GET", "/status/", 404, "404 page not found\n"},
      {"GET", "//status", 404, "404 page not found\n"},
      {"GET", "/ip/", 404, "404 page not found\n"},
      {"GET", "/ip/a%2Fb", 404, "404 page not found\n"},
      {"GET", "/ip/a%00b", 404, "404 page not found\n"},
      {"POST", "/expose/10.2.0.1", 404, "404 page not found\n"},
      {"POST", "/status", 405, ""},
      {"HEAD", "/status", 405, ""},
      {"get", "/status", 405, ""},
      {"PUT", "/ip/x", 405, ""},
      {"GET", "/peer", 405, ""},
      {"GET", "/ip/%zz", 400, "malformed escape in \"%zz\": want % and two hexadecimal digits\n"},
      {"GET", "/ip/%4", 400, "malformed escape in \"%4\": want % and two hexadecimal digits\n"},
  };
  for (const Row& row : rows) {
    INFO(row.method << " " << row.target);
    const Outcome outcome = Ask(router, row.method, row.target);
    CHECK(outcome.answer_count == 1);
    CHECK(outcome.response.status == row.status);
    CHECK(outcome.response.body == row.body);
  }
}

TEST_CASE("Of two patterns that match, the first added answers", "[http]") {
  HttpRouter router;
  router.Add("GET", "/ip/known", [](HttpCall call) { call.reply.Send(HttpError(200, "literal")); });
  router.Add("GET", "/ip/{id}", [](HttpCall call) { call.reply.Send(HttpError(200, call.Param("id"))); });
  CHECK(Ask(router, "GET", "/ip/known").response.body == "literal\n");
  CHECK(Ask(router, "GET", "/ip/other").response.body == "other\n");
}

TEST_CASE("A request that its handler drops is answered with 500", "[http]") {
  HttpRouter router;
  router.Add("GET", "/drop", [](HttpCall) {});
  const Outcome outcome = Ask(router, "GET", "/drop");
  CHECK(outcome.answer_count == 1);
  CHECK(outcome.response.status == 500);
  CHECK(outcome.response.body == "internal error: the request was dropped without an answer\n");
}

TEST_CASE("A waiting request hears once that its client has gone, and may still be answered", "[http]") {
  int gone_count = 0;
  int answer_count = 0;
  const auto exchange = std::make_shared<HttpExchange>([&](HttpResponse) { ++answer_count; });
  HttpReply reply(exchange);

  SECTION("when it asked before") {
    reply.OnGone([&] { ++gone_count; });
    exchange->ClientGone();
    exchange->ClientGone();
    CHECK(gone_count == 1);
    reply.Send(HttpError(200, "cancelled"));
    CHECK(answer_count == 1);
  }
  SECTION("when it asks afterwards") {
    exchange->ClientGone();
    reply.OnGone([&] { ++gone_count; });
    CHECK(gone_count == 1);
  }
  SECTION("but not once it is answered") {
    reply.OnGone([&] { ++gone_count; });
    reply.Send(HttpError(200, "done"));
    exchange->ClientGone();
    CHECK(gone_count == 0);
    CHECK(answer_count == 1);
  }
}

TEST_CASE("A reply and a client's going may race from two threads", "[http]") {
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> answer_count = 0;
    const auto exchange = std::make_shared<HttpExchange>([&](HttpResponse) { ++answer_count; });
    HttpReply reply(exchange);
    std::thread going([&] { exchange->ClientGone(); });
    reply.OnGone([] {});
    reply.Send(HttpError(200, ""));
    going.join();
    CHECK(answer_count == 1);
  }
}

}  // namespace
}  // namespace weave
