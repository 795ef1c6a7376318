// What HttpServer owes its callers, on unix sockets and on TCP.
#include "io/http_server.h"

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <thread>

#include "test/io/http_test_support.h"
#include "test/support/catch.h"

namespace weave {
namespace {

struct Place {
  const char* name;
  std::string address;
};

std::vector<Place> Places(const TempDirectory& directory) {
  return {{"unix", directory.File("http.sock")}, {"tcp", "127.0.0.1:0"}};
}

HttpClient ClientOf(const HttpServer& server) {
  const std::string address = server.address();
  return *HttpClient::Create(address[0] == '/' ? "unix://" + address : "tcp://" + address);
}

class ServerFixture {
 public:
  std::unique_ptr<HttpServer> Listen(const Place& place) {
    auto server = HttpServer::Listen(place.address, router.get(), logger);
    INFO(server.status());
    REQUIRE(server.ok());
    return *std::move(server);
  }

  NullLogger logger;
  TempDirectory directory;
  TestRouter router;
};

TEST_CASE("A server answers by the router's table", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    const HttpClient client = ClientOf(*server);
    struct Row {
      const char* target;
      int status;
      const char* body;
      const char* type;
    };
    constexpr char kText[] = "text/plain; charset=utf-8";
    for (const Row& row :
         {Row{"/hello", 200, "hello\n", kText}, Row{"/echo/weave:expose", 200, "weave:expose\n", kText},
          Row{"/echo/weave%3Aexpose?x=1", 200, "weave:expose\n", kText}, Row{"/empty", 204, "", ""},
          Row{"/nothing", 404, "404 page not found\n", kText}, Row{"/size", 405, "", ""},
          Row{"/drop", 500, "internal error: the request was dropped without an answer\n", kText}}) {
      INFO(row.target);
      const auto response = client.Get(row.target, absl::Seconds(10));
      INFO(response.status());
      REQUIRE(response.ok());
      CHECK(response->status == row.status);
      CHECK(response->body == row.body);
      CHECK(response->content_type == row.type);
    }
    CHECK(client.Post("/size", "text/plain", std::string(1024 * 1024, 'x'), absl::Seconds(10))->body == "1048576\n");
    CHECK(client.Post("/size", "text/plain", std::string(1024 * 1024 + 1, 'x'), absl::Seconds(10))->status == 413);
    CHECK(client.Post("/hello", "text/plain", "x", absl::Seconds(10))->status == 405);
  }
}

TEST_CASE("A server takes several requests on one connection and bodies in chunks", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    RawClient client(server->address());
    client.Send("GET /echo/one HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.Expect("one\n"));
    client.Send(
        "POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n");
    CHECK(client.Expect("7\n"));
    client.Send("GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.Expect("HTTP/1.1 204"));
    client.Send("GET /echo/two HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(client.Expect("two\n"));
    CHECK(client.ExpectClose());
  }
}

TEST_CASE("Bytes that are no HTTP get 400 or a closed connection, and the next client is served", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    for (const char* text : {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "GET\r\n\r\n", "\r\n\r\n\r\n\r\n",
                             "GET /hello HTTP/1.1\r\nno colon\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"}) {
      INFO(text);
      RawClient client(server->address());
      client.Send(text);
      client.CloseSending();
      CHECK(client.ExpectClose());
      CHECK(client.received().find(" 200 ") == std::string::npos);
    }
    {
      RawClient half(server->address());
      half.Send("POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this");
    }
    CHECK(ClientOf(*server).Get("/hello", absl::Seconds(10))->body == "hello\n");
  }
}

TEST_CASE("Clients that send nothing, or half a request, hold nobody up", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    std::vector<std::unique_ptr<RawClient>> idle;
    for (int i = 0; i < 100; ++i) {
      idle.push_back(std::make_unique<RawClient>(server->address()));
      if (i % 2 == 0) idle.back()->Send("GET /hello HTTP/1.1\r\nHo");
    }
    CHECK(ClientOf(*server).Get("/hello", absl::Seconds(10))->body == "hello\n");
    idle[0]->Send("st: x\r\n\r\n");
    CHECK(idle[0]->Expect("hello\n"));
  }
}

TEST_CASE("A waiting request does not delay others and is answered from another thread", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    std::vector<std::unique_ptr<RawClient>> waiting;
    for (int i = 0; i < 5; ++i) {
      waiting.push_back(std::make_unique<RawClient>(server->address()));
      waiting.back()->Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    WaitUntil([&] { return f.router.waiting_count() == 5; });
    CHECK(ClientOf(*server).Get("/hello", absl::Seconds(10))->body == "hello\n");
    std::thread([&] { f.router.AnswerWaiting("at last"); }).join();
    for (const auto& client : waiting) CHECK(client->Expect("at last\n"));
  }
}

TEST_CASE("A client that closes its connection cancels its waiting request", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    const int before = f.router.gone_count();
    RawClient client(server->address());
    client.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    RawClient half(server->address());
    half.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    WaitUntil([&] { return f.router.waiting_count() == 2; });
    CHECK(f.router.gone_count() == before);
    client.Close();
    WaitUntil([&] { return f.router.gone_count() == before + 1; });
    half.CloseSending();
    WaitUntil([&] { return f.router.gone_count() == before + 2; });
    f.router.AnswerWaiting("cancelled");
    CHECK(half.Expect("cancelled\n"));  // it still listens, as curl's --max-time would not
    CHECK(ClientOf(*server).Get("/hello", absl::Seconds(10))->body == "hello\n");
  }
}

TEST_CASE("A server goes at once although requests wait, and late answers are harmless", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const int before = f.router.gone_count();
    auto server = f.Listen(place);
    RawClient client(server->address());
    client.Send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    RawClient idle(server->address());
    WaitUntil([&] { return f.router.waiting_count() == 1; });
    server.reset();
    CHECK(client.ExpectClose());
    CHECK(idle.ExpectClose());
    CHECK(f.router.gone_count() == before + 1);
    f.router.AnswerWaiting("too late");
  }
}

TEST_CASE("Two servers share one router and end one by one", "[http]") {
  ServerFixture f;
  std::vector<std::unique_ptr<HttpServer>> servers;
  for (const Place& place : Places(f.directory)) servers.push_back(f.Listen(place));
  while (!servers.empty()) {
    for (const auto& server : servers) CHECK(ClientOf(*server).Get("/hello", absl::Seconds(10))->body == "hello\n");
    servers.pop_back();
  }
}

TEST_CASE("A port in use is refused by name and its owner undisturbed", "[http]") {
  ServerFixture f;
  for (const Place& place : Places(f.directory)) {
    INFO(place.name);
    const auto server = f.Listen(place);
    const auto second = HttpServer::Listen(server->address(), f.router.get(), f.logger);
    CHECK(second.status().code() == absl::StatusCode::kAlreadyExists);
    CHECK(std::string(second.status().message()).find(server->address()) != std::string::npos);
    CHECK(ClientOf(*server).Get("/hello", absl::Seconds(10))->body == "hello\n");
  }
}

TEST_CASE("An address of no known form is refused by name", "[http]") {
  ServerFixture f;
  for (const char* address : {"", "6784", "host", "weave.example:80", "1.2.3:80", "127.0.0.1:", "127.0.0.1:65536",
                              "127.0.0.1:http", "127.0.0.1:-1", "::1:80", "[127.0.0.1]:80", "relative/path"}) {
    INFO(address);
    const auto server = HttpServer::Listen(address, f.router.get(), f.logger);
    CHECK(server.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(server.status().message()).find(absl::StrCat("\"", address, "\": want HOST:PORT")) !=
          std::string::npos);
  }
  CHECK(HttpServer::Listen("/" + std::string(120, 'x'), f.router.get(), f.logger).status().code() ==
        absl::StatusCode::kInvalidArgument);
  const auto foreign = HttpServer::Listen("203.0.113.1:1", f.router.get(), f.logger);
  CHECK(foreign.status().code() == absl::StatusCode::kFailedPrecondition);
}

TEST_CASE("A server listens on IPv6 and on all addresses, and tells the port it was given", "[http]") {
  ServerFixture f;
  for (const char* address : {"[::1]:0", ":0", "localhost:0", "0.0.0.0:0"}) {
    INFO(address);
    const auto server = HttpServer::Listen(address, f.router.get(), f.logger);
    INFO(server.status());
    if (!server.ok() && address[0] == '[') continue;  // a host without IPv6
    REQUIRE(server.ok());
    const std::string real = (*server)->address();
    CHECK(real.substr(real.rfind(':')) != ":0");
    const std::string host = real.front() == '[' ? "[::1]" : "127.0.0.1";
    const HttpClient client = *HttpClient::Create("tcp://" + host + real.substr(real.rfind(':')));
    CHECK(client.Get("/hello", absl::Seconds(10))->body == "hello\n");
  }
}

}  // namespace
}  // namespace weave
