// The body of HttpServer that speaks over TCP with cpprestsdk. Private to io/http_server.cc; no type of the library
// leaves io/http_server_cpprest.cc.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "io/http_listen_socket.h"
#include "io/http_server.h"

namespace weave {

// Serves `address`, which is TCP, on the library's pool of two threads, shared by all such servers of the process.
// `text` is what the user wrote.
absl::StatusOr<std::unique_ptr<HttpServer>> ServeWithCpprest(const std::string& text, const HttpAddress& address,
                                                             std::shared_ptr<const HttpRouter> router, Logger& logger,
                                                             const HttpServerOptions& options);

}  // namespace weave
