// A Docker daemon that gives one canned answer, or none, on a unix socket in a directory of its own.
#pragma once

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "io/fd.h"
#include "io/mutex.h"

namespace weave {

class FakeDocker {
 public:
  // Serves `body` with `status` to every request; status 0: accepts and says nothing.
  FakeDocker(int status, std::string body) : status_(status), body_(std::move(body)) {
    directory_ = (std::filesystem::temp_directory_path() / "weave-host-XXXXXX").string();
    WEAVE_CHECK(::mkdtemp(directory_.data()) != nullptr);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    const std::string path = directory_ + "/docker.sock";
    WEAVE_CHECK(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.data(), path.size());
    WEAVE_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    WEAVE_CHECK(::listen(listener_.get(), 8) == 0);
    thread_ = std::thread([this] { Serve(); });
  }
  ~FakeDocker() {
    ::shutdown(listener_.get(), SHUT_RDWR);  // ends accept()
    thread_.join();
    std::filesystem::remove_all(directory_);
  }

  std::string address() const { return absl::StrCat("unix://", directory_, "/docker.sock"); }

  // First lines of the requests so far.
  std::vector<std::string> requests() const {
    const MutexLock lock(&mutex_);
    return requests_;
  }

 private:
  void Serve() {
    std::vector<Fd> silent;
    while (true) {
      Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.valid()) return;
      std::string request;
      std::array<char, 4096> buffer;
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t size = ::read(connection.get(), buffer.data(), buffer.size());
        if (size <= 0) break;
        request.append(buffer.data(), static_cast<std::size_t>(size));
      }
      {
        const MutexLock lock(&mutex_);
        requests_.push_back(request.substr(0, request.find("\r\n")));
      }
      if (status_ == 0) {
        silent.push_back(std::move(connection));
        continue;
      }
      const std::string answer = absl::StrCat("HTTP/1.1 ", status_, " Status\r\nContent-Type: application/json\r\n",
                                              "Content-Length: ", body_.size(), "\r\n\r\n", body_);
      (void)!::write(connection.get(), answer.data(), answer.size());
    }
  }

  const int status_;
  const std::string body_;
  std::string directory_;
  Fd listener_;
  std::thread thread_;
  mutable Mutex mutex_;
  std::vector<std::string> requests_;
};

inline std::string ContainerJson(pid_t pid, bool running = true, const std::string& network_mode = "default") {
  return absl::StrCat("{\"Id\":\"", std::string(64, 'c'),
                      "\",\"Name\":\"/web\",\"State\":{\"Status\":\"x\",\"Running\":", running ? "true" : "false",
                      ",\"Pid\":", pid, "},\"HostConfig\":{\"NetworkMode\":\"", network_mode,
                      "\"},\"Config\":{\"Hostname\":\"web\"}}");
}

}  // namespace weave
