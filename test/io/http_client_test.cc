#include "io/http_client.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "test/io/http_test_support.h"
#include "test/support/catch.h"

namespace weave {
namespace {

// A server that answers its first connection with a given text, whatever is asked, and then closes.
class CannedServer {
 public:
  explicit CannedServer(std::string answer) : answer_(std::move(answer)) {
    listener_.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    REQUIRE(listen(listener_.get(), 5) == 0);
    thread_ = std::thread([this] {
      Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      char request[4096];
      (void)!recv(peer.get(), request, sizeof(request), 0);
      std::size_t sent = 0;
      while (sent < answer_.size()) {
        const ssize_t size = send(peer.get(), answer_.data() + sent, answer_.size() - sent, MSG_NOSIGNAL);
        if (size <= 0) return;
        sent += static_cast<std::size_t>(size);
      }
    });
  }
  ~CannedServer() { thread_.join(); }

  absl::StatusOr<HttpResponse> Ask() const {
    return HttpClient::Create("unix://" + path_)->Get("/info?a=b", absl::Seconds(10));
  }

 private:
  TempDirectory directory_;
  const std::string path_ = directory_.File("canned.sock");
  const std::string answer_;
  Fd listener_;
  std::thread thread_;
};

TEST_CASE("A client takes only addresses it can speak to", "[http]") {
  for (const char* good : {"unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "http://docker.example:80",
                           "tcp://[::1]:1", "http://h:1/"}) {
    INFO(good);
    CHECK(HttpClient::Create(good).ok());
  }
  for (const char* bad :
       {"", "/var/run/docker.sock", "unix://", "unix://relative", "tcp://", "tcp://host", "tcp://host:", "tcp://host:0",
        "tcp://host:65536", "tcp://:80", "https://h:1", "fd://3", "tcp://[::1:80", "http://h/x:1"}) {
    INFO(bad);
    const auto client = HttpClient::Create(bad);
    CHECK(client.status().code() == absl::StatusCode::kInvalidArgument);
    CHECK(std::string(client.status().message()).find(absl::StrCat("\"", bad, "\"")) != std::string::npos);
  }
}

TEST_CASE("A client reads answers with a length, in chunks and up to the end of the connection", "[http]") {
  const char* const chunked =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
  const char* const answers[] = {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
                                 chunked, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}"};
  for (const char* answer : answers) {
    INFO(answer);
    const CannedServer server(answer);
    const auto response = server.Ask();
    INFO(response.status());
    REQUIRE(response.ok());
    CHECK(response->status == 200);
    CHECK(response->content_type == "application/json");
    CHECK(response->body == "{}");
  }
}

TEST_CASE("Where nobody listens the client says so and names the address", "[http]") {
  OwnNetwork();
  TempDirectory directory;
  const std::string dead = directory.File("dead.sock");
  {
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    dead.copy(address.sun_path, sizeof(address.sun_path) - 1);
    REQUIRE(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  for (const std::string& address :
       {"unix://" + directory.File("absent.sock"), "unix://" + dead, std::string("tcp://127.0.0.1:1")}) {
    INFO(address);
    const auto response = HttpClient::Create(address)->Get("/info", absl::Seconds(10));
    CHECK(response.status().code() == absl::StatusCode::kUnavailable);
    CHECK(std::string(response.status().message()).find(address) != std::string::npos);
  }
}

TEST_CASE("A server that accepts and never answers costs the deadline and no more", "[http]") {
  TempDirectory directory;
  TestRouter router;
  NullLogger logger;
  const auto server = HttpServer::Listen(directory.File("hung.sock"), router.get(), logger);
  REQUIRE(server.ok());
  const auto client = HttpClient::Create("unix://" + directory.File("hung.sock"));
  const auto start = std::chrono::steady_clock::now();
  const auto response = client->Get("/wait", absl::Milliseconds(100));
  CHECK(response.status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(std::string(response.status().message()).find("within 100ms") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("An answer larger than the client takes is refused", "[http]") {
  const std::string body(HttpClient::kMaxBodySize + 1, 'x');
  {
    const CannedServer announced(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body));
    CHECK(announced.Ask().status().code() == absl::StatusCode::kResourceExhausted);
  }
  const CannedServer unbounded("HTTP/1.1 200 OK\r\n\r\n" + body);
  CHECK(unbounded.Ask().status().code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("An answer that is not HTTP is Internal, a connection cut short is Unavailable", "[http]") {
  struct Row {
    const char* answer;
    absl::StatusCode code;
  };
  for (const Row& row :
       {Row{"SSH-2.0-OpenSSH_9.2\r\n\r\n", absl::StatusCode::kInternal},
        Row{"HTTP/1.1 abc\r\n\r\n", absl::StatusCode::kInternal},
        Row{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n", absl::StatusCode::kInternal},
        Row{"", absl::StatusCode::kUnavailable}, Row{"HTTP/1.1 200 OK\r\n", absl::StatusCode::kUnavailable},
        Row{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", absl::StatusCode::kUnavailable}}) {
    INFO(row.answer);
    const CannedServer server(row.answer);
    const auto response = server.Ask();
    INFO(response.status());
    CHECK(response.status().code() == row.code);
  }
}

TEST_CASE("Many threads may use one client", "[http]") {
  TempDirectory directory;
  TestRouter router;
  NullLogger logger;
  const auto server = HttpServer::Listen(directory.File("http.sock"), router.get(), logger);
  const HttpClient client = *HttpClient::Create("unix://" + directory.File("http.sock"));
  std::vector<std::thread> threads;
  std::atomic<int> good_count = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&client, &good_count, i] {
      for (int k = 0; k < 20; ++k) {
        const auto response = client.Get(absl::StrCat("/echo/", i, "-", k), absl::Seconds(10));
        if (response.ok() && response->body == absl::StrCat(i, "-", k, "\n")) ++good_count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good_count == 160);
}

}  // namespace
}  // namespace weave
