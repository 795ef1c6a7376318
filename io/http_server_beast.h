// The body of HttpServer that speaks over unix sockets and TCP with Boost.Beast. Private to io/http_server.cc.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "io/http_listen_socket.h"
#include "io/http_server.h"

namespace weave {

// Serves `socket` on one thread of its own.
absl::StatusOr<std::unique_ptr<HttpServer>> ServeWithBeast(HttpListenSocket socket,
                                                           std::shared_ptr<const HttpRouter> router, Logger& logger,
                                                           const HttpServerOptions& options);

}  // namespace weave
