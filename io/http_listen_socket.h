// Where an HttpServer listens: the grammar of its address and the socket itself. Private to io/http_server.cc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "io/fd.h"

namespace weave {

struct HttpAddress {
  std::string unix_path;        // empty: TCP
  std::optional<IpAddress> ip;  // nothing: all addresses of this host
  std::uint16_t port = 0;
};

// Absolute path, or HOST:PORT with HOST empty, an IPv4 address, an IPv6 address in brackets or "localhost".
// InvalidArgument naming `text` and what is accepted.
absl::StatusOr<HttpAddress> ParseHttpAddress(absl::string_view text);

// A listening, non-blocking, close-on-exec socket. Removes its file, if it is still the one it made, when destroyed.
class HttpListenSocket {
 public:
  // Errors as HttpServer::Listen. `mode` is that of a unix socket from the moment anybody can connect.
  static absl::StatusOr<HttpListenSocket> Open(absl::string_view address, mode_t mode);

  HttpListenSocket(HttpListenSocket&& other) noexcept;
  HttpListenSocket& operator=(HttpListenSocket&&) = delete;
  ~HttpListenSocket();

  // With the real port.
  const std::string& address() const { return address_; }
  int family() const { return family_; }

  // The caller closes it, before this object goes.
  Fd TakeFd() { return std::move(fd_); }

 private:
  HttpListenSocket() = default;

  static absl::StatusOr<HttpListenSocket> OpenUnix(const std::string& path, mode_t mode);
  static absl::StatusOr<HttpListenSocket> OpenTcp(absl::string_view text, const HttpAddress& address);

  Fd fd_;
  int family_ = 0;  // AF_UNIX, AF_INET or AF_INET6
  std::string address_;
  std::string path_;  // of the file to remove; empty: none
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace weave
