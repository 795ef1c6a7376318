#include "io/http_server.h"

#include <utility>

#include "base/status.h"
#include "io/http_listen_socket.h"
#include "io/http_server_beast.h"
#include "io/http_server_cpprest.h"

namespace weave {

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(absl::string_view address,
                                                               std::shared_ptr<const HttpRouter> router, Logger& logger,
                                                               const HttpServerOptions& options) {
  ASSIGN_OR_RETURN(const HttpAddress parsed, ParseHttpAddress(address));
  if (parsed.unix_path.empty() && options.tcp_body == HttpTcpBody::kCpprest) {
    return ServeWithCpprest(std::string(address), parsed, std::move(router), logger, options);
  }
  ASSIGN_OR_RETURN(HttpListenSocket socket, HttpListenSocket::Open(address, options.unix_mode));
  return ServeWithBeast(std::move(socket), std::move(router), logger, options);
}

}  // namespace weave
