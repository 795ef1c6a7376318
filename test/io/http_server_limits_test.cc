// Bounds and socket files of HttpServer.
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "io/http_server.h"
#include "test/io/http_test_support.h"
#include "test/support/catch.h"

namespace weave {
namespace {

struct Fixture {
  absl::StatusOr<std::unique_ptr<HttpServer>> Listen() {
    return HttpServer::Listen(path, router.get(), logger, options);
  }
  absl::StatusOr<HttpResponse> Get(const std::string& target) const {
    return HttpClient::Create("unix://" + path)->Get(target, absl::Seconds(10));
  }

  NullLogger logger;
  TempDirectory directory;
  std::string path = directory.File("http.sock");
  TestRouter router;
  HttpServerOptions options;
};

// A socket file that nobody answers on, as a killed process leaves it.
void LeaveDeadSocket(const std::string& path) {
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
}

TEST_CASE("A unix socket is for its owner alone unless told otherwise, and goes with the server", "[http]") {
  Fixture f;
  {
    const auto server = f.Listen();
    REQUIRE(server.ok());
    struct stat found = {};
    REQUIRE(stat(f.path.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);
  }
  CHECK_FALSE(std::filesystem::exists(f.path));
  f.options.unix_mode = 0666;
  const auto server = f.Listen();
  struct stat found = {};
  REQUIRE(stat(f.path.c_str(), &found) == 0);
  CHECK((found.st_mode & 07777) == 0666);
}

TEST_CASE("The socket of a dead process is replaced", "[http]") {
  Fixture f;
  LeaveDeadSocket(f.path);
  const auto server = f.Listen();
  INFO(server.status());
  REQUIRE(server.ok());
  CHECK(f.Get("/hello")->body == "hello\n");
}

TEST_CASE("A file that is no socket is refused and left alone", "[http]") {
  Fixture f;
  std::ofstream(f.path) << "precious";
  const auto server = f.Listen();
  CHECK(server.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(std::string(server.status().message()).find(f.path) != std::string::npos);
  std::string content;
  std::ifstream(f.path) >> content;
  CHECK(content == "precious");
}

TEST_CASE("A socket in no directory is NotFound by name", "[http]") {
  Fixture f;
  f.path = f.directory.File("absent/http.sock");
  const auto server = f.Listen();
  CHECK(server.status().code() == absl::StatusCode::kNotFound);
  CHECK(std::string(server.status().message()).find(f.path) != std::string::npos);
}

TEST_CASE("A server leaves the socket of its successor alone", "[http]") {
  Fixture f;
  auto first = f.Listen();
  REQUIRE(first.ok());
  std::filesystem::remove(f.path);
  const auto second = f.Listen();
  REQUIRE(second.ok());
  first->reset();
  CHECK(f.Get("/hello")->body == "hello\n");
}

TEST_CASE("One connection too many is told so, and a closed one makes room", "[http]") {
  Fixture f;
  f.options.max_connection_count = 3;
  const auto server = f.Listen();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 3; ++i) {
    clients.push_back(std::make_unique<RawClient>(f.path));
    clients.back()->Send("GET /hello HTTP/1.1\r\n\r\n");
    REQUIRE(clients.back()->Expect("hello\n"));
  }
  RawClient refused(f.path);
  CHECK(refused.ExpectClose());
  CHECK(refused.received().find("HTTP/1.1 503 ") == 0);
  CHECK(refused.received().find("too many connections: at most 3\n") != std::string::npos);
  clients.pop_back();
  WaitUntil([&] {
    const auto response = f.Get("/hello");
    return response.ok() && response->status == 200;
  });
}

TEST_CASE("A client that stalls is dropped, whether before or within its request", "[http]") {
  Fixture f;
  f.options.request_timeout = absl::Milliseconds(100);
  const auto server = f.Listen();
  for (const char* text : {"", "GET /hello HT", "POST /size HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc"}) {
    RawClient client(f.path);
    client.Send(text);
    CHECK(client.ExpectClose());
    CHECK(client.received().empty());
  }
  RawClient kept(f.path);
  kept.Send("GET /hello HTTP/1.1\r\n\r\n");
  CHECK(kept.Expect("hello\n"));
  CHECK(kept.ExpectClose());
}

TEST_CASE("A request may wait for its answer longer than for its own arrival", "[http]") {
  Fixture f;
  f.options.request_timeout = absl::Milliseconds(50);
  const auto server = f.Listen();
  RawClient waiting(f.path);
  waiting.Send("GET /wait HTTP/1.1\r\n\r\n");
  RawClient idle(f.path);
  CHECK(idle.ExpectClose());  // the time-out has passed
  WaitUntil([&] { return f.router.waiting_count() == 1; });
  f.router.AnswerWaiting("still here");
  CHECK(waiting.Expect("still here\n"));
}

TEST_CASE("A header without end is answered with 431, a body without end with 413", "[http]") {
  Fixture f;
  const auto server = f.Listen();
  RawClient header(f.path);
  header.Send("GET /hello HTTP/1.1\r\nX: ");
  for (int i = 0; i < 64 && header.Send(std::string(1024, 'x')); ++i) continue;
  CHECK(header.ExpectClose());
  CHECK(header.received().find("HTTP/1.1 431 ") == 0);

  RawClient chunks(f.path);
  chunks.Send("POST /size HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 80 && chunks.Send("4000\r\n" + std::string(0x4000, 'x') + "\r\n"); ++i) continue;
  CHECK(chunks.ExpectClose());
  CHECK(chunks.received().find("HTTP/1.1 413 ") == 0);

  RawClient announced(f.path);  // refused before it sends anything
  announced.Send("POST /size HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
  CHECK(announced.Expect("HTTP/1.1 413 "));

  for (const char* size : {"-1", "ffffffffffffffffff", "zz"}) {
    RawClient bad(f.path);
    bad.Send(absl::StrCat("POST /size HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", size, "\r\nxxxx\r\n0\r\n\r\n"));
    CHECK(bad.Expect("HTTP/1.1 400 "));
  }
  CHECK(f.Get("/hello")->body == "hello\n");
}

TEST_CASE("A client that asks before it sends a body is told to continue", "[http]") {
  Fixture f;
  const auto server = f.Listen();
  RawClient client(f.path);
  client.Send("POST /size HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  CHECK(client.Expect("HTTP/1.1 100 Continue\r\n\r\n"));
  client.Send("abc");
  CHECK(client.Expect("3\n"));
}

TEST_CASE("Requests sent ahead are answered in order", "[http]") {
  Fixture f;
  const auto server = f.Listen();
  RawClient client(f.path);
  client.Send("GET /wait HTTP/1.1\r\n\r\nGET /echo/sec");
  WaitUntil([&] { return f.router.waiting_count() == 1; });
  client.Send("ond HTTP/1.1\r\n\r\n");
  CHECK(f.Get("/hello")->body == "hello\n");  // by then the server has seen both
  f.router.AnswerWaiting("first");
  CHECK(client.Expect("second\n"));
  CHECK(client.received().find("first\n") < client.received().find("second\n"));
}

}  // namespace
}  // namespace weave
