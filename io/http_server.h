// Listens to HTTP on unix sockets and TCP, with Boost.Beast. Requests go to an HttpRouter on the server's thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "base/time.h"
#include "io/http_router.h"

namespace weave {

struct HttpServerOptions {
  mode_t unix_mode = 0600;                       // of the socket file
  std::size_t max_body_size = 1024 * 1024;       // bytes; more is answered with 413
  std::size_t max_header_size = 16 * 1024;       // bytes of request line and headers; more is answered with 431
  int max_connection_count = 128;                // one more is answered with 503 and closed
  Duration request_timeout = absl::Seconds(30);  // from the first wait for a request to its last byte, and for
                                                 // writing an answer
};

class HttpServer {
 public:
  // Listens on `address`: an absolute path is a unix socket, else HOST:PORT (":6784" is all addresses; IPv4 or [IPv6]
  // addresses and "localhost", no other names). A unix socket of a dead process is replaced.
  //   InvalidArgument    the address is of neither form; the text names it and says what is accepted
  //   AlreadyExists      another process answers there
  //   FailedPrecondition the path exists and is no socket; it is left alone
  //   others             as the system said (permission, no such directory, address not of this host)
  // `logger` outlives the server and is used from its threads.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Listen(absl::string_view address,
                                                            std::shared_ptr<const HttpRouter> router, Logger& logger,
                                                            const HttpServerOptions& options = {});

  // Stops accepting, closes all connections (open requests see OnGone), joins its threads and removes the socket file
  // it made. Must not run on a server's thread, that is, in a handler. Does not wait for handlers' late answers.
  virtual ~HttpServer() = default;
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // As given, with the real port when 0 was asked.
  virtual std::string address() const = 0;

 protected:
  HttpServer() = default;
};

}  // namespace weave
