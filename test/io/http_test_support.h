// What the tests of HTTP servers and client share: a directory and a network of their own, raw connections and a router
// whose handlers the test controls.
#pragma once

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "io/fd.h"
#include "io/http_client.h"
#include "io/http_server.h"
#include "io/mutex.h"
#include "test/support/catch.h"

namespace weave {

class TempDirectory {
 public:
  TempDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "weave-http-XXXXXX").string();
    REQUIRE(mkdtemp(path.data()) != nullptr);
    path_ = path;
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  ~TempDirectory() { std::filesystem::remove_all(path_); }

  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// As root the process moves into a network namespace of its own, once: fixed ports are then nobody else's.
inline bool OwnNetwork() {
  static const bool own = [] {
    if (unshare(CLONE_NEWNET) != 0) return false;
    Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request = {};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
  }();
  return own;
}

inline void WaitUntil(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    REQUIRE(std::chrono::steady_clock::now() < deadline);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

// A client that does as the test says, byte by byte. `address` is a path or 127.0.0.1:PORT.
class RawClient {
 public:
  explicit RawClient(const std::string& address) {
    if (address[0] == '/') {
      sockaddr_un to = {};
      to.sun_family = AF_UNIX;
      address.copy(to.sun_path, sizeof(to.sun_path) - 1);
      Connect(to);
    } else {
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
      Connect(to);
    }
  }

  // False when the server has closed.
  bool Send(absl::string_view text) {
    while (!text.empty()) {
      const ssize_t size = send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
      if (size <= 0) return false;
      text.remove_prefix(static_cast<std::size_t>(size));
    }
    return true;
  }

  // Reads until `received()` holds `text`; false when the server closes before or 20 s pass.
  bool Expect(const std::string& text) {
    while (received_.find(text) == std::string::npos) {
      if (!ReadSome()) return false;
    }
    return true;
  }

  // Reads until the server closes; false when 20 s pass.
  bool ExpectClose() {
    while (ReadSome()) continue;
    return closed_;
  }

  void CloseSending() { shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.reset(); }
  const std::string& received() const { return received_; }

 private:
  template <typename Address>
  void Connect(const Address& to) {
    fd_.reset(socket(to_family(to), SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0);
  }
  static int to_family(const sockaddr_un&) { return AF_UNIX; }
  static int to_family(const sockaddr_in&) { return AF_INET; }

  bool ReadSome() {
    pollfd wait = {fd_.get(), POLLIN, 0};
    if (poll(&wait, 1, 20'000) != 1) return false;
    char buffer[4096];
    const ssize_t size = recv(fd_.get(), buffer, sizeof(buffer), 0);
    if (size <= 0) {
      closed_ = true;
      return false;
    }
    received_.append(buffer, static_cast<std::size_t>(size));
    return true;
  }

  Fd fd_;
  std::string received_;
  bool closed_ = false;
};

// GET /hello, GET /echo/{text}, POST /size, GET /empty (204), GET /drop, and GET /wait, which waits for the test.
class TestRouter {
 public:
  TestRouter() {
    router_->Add("GET", "/hello", [](HttpCall call) { call.reply.Send(HttpError(200, "hello")); });
    router_->Add("GET", "/echo/{text}", [](HttpCall call) { call.reply.Send(HttpError(200, call.Param("text"))); });
    router_->Add("POST", "/size",
                 [](HttpCall call) { call.reply.Send(HttpError(200, absl::StrCat(call.request.body.size()))); });
    router_->Add("GET", "/empty",
                 [](HttpCall call) { call.reply.Send(HttpResponse{.status = 204, .content_type = "", .body = ""}); });
    router_->Add("GET", "/drop", [](HttpCall) {});
    router_->Add("GET", "/wait", [this](HttpCall call) {
      call.reply.OnGone([this] {
        const MutexLock lock(&mutex_);
        ++gone_count_;
      });
      const MutexLock lock(&mutex_);
      waiting_.push_back(std::move(call.reply));
    });
  }

  std::shared_ptr<const HttpRouter> get() const { return router_; }

  std::size_t waiting_count() const {
    const MutexLock lock(&mutex_);
    return waiting_.size();
  }
  int gone_count() const {
    const MutexLock lock(&mutex_);
    return gone_count_;
  }

  // Answers all that wait, on the calling thread.
  void AnswerWaiting(const std::string& text) {
    std::vector<HttpReply> replies;
    {
      const MutexLock lock(&mutex_);
      replies = std::exchange(waiting_, {});
    }
    for (HttpReply& reply : replies) reply.Send(HttpError(200, text));
  }

 private:
  const std::shared_ptr<HttpRouter> router_ = std::make_shared<HttpRouter>();
  mutable Mutex mutex_;
  std::vector<HttpReply> waiting_;
  int gone_count_ = 0;
};

}  // namespace weave
