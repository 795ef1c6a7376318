#include "io/http_server_cpprest.h"

#include <algorithm>
#include <exception>
#include <mutex>
#include <utility>
#include <vector>

// The library's headers name asio's deprecated io_service.
#undef BOOST_ASIO_NO_DEPRECATED
#include <cpprest/http_listener.h>
#include <pplx/threadpool.h>
#include <boost/system/system_error.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/fd.h"

namespace weave {
namespace {

using web::http::http_request;
using web::http::http_response;
using web::http::experimental::listener::http_listener;

// The library's own default is 40 threads.
constexpr std::size_t kPoolThreadCount = 2;
constexpr std::size_t kReadSize = 16 * 1024;

// The pool belongs to the library and to the process: the first server of the process sets its size.
void LimitPool() {
  static std::once_flag once;
  std::call_once(once, [] {
    try {
      crossplat::threadpool::initialize_with_threads(kPoolThreadCount);
    } catch (const std::exception&) {
      // Something else in the process started it already, with a size of its own.
    }
  });
}

// An exception that nobody takes out of a task ends the process (SIGTRAP in pplxlinux.h).
void Observe(const pplx::task<void>& task) {
  task.then([](const pplx::task<void>& done) {
    try {
      done.get();
    } catch (const std::exception&) {
      // The client has gone; nobody is left to tell.
    }
  });
}

void Reply(const http_request& request, HttpResponse answer, bool close) {
  try {
    http_response response(static_cast<web::http::status_code>(answer.status));
    if (answer.status != 204 && answer.status != 304 && !(answer.body.empty() && answer.content_type.empty())) {
      response.set_body(std::move(answer.body),
                        answer.content_type.empty() ? "text/plain; charset=utf-8" : answer.content_type);
    }
    if (answer.status == 204) response.headers().remove(web::http::header_names::content_length);
    if (close) response.headers().add(web::http::header_names::connection, "close");
    Observe(request.reply(response));
  } catch (const std::exception&) {
    // The library answered already, because the connection or the server has gone.
  }
}

HttpRequest Translate(const http_request& from) {
  HttpRequest request;
  request.method = from.method();
  request.path = from.request_uri().path();
  request.query = from.request_uri().query();
  for (const auto& [name, value] : from.headers()) request.headers.emplace_back(name, value);
  return request;
}

// Reads a body and then calls the router. More than the limit is read, because the library answers only after the last
// byte, but not kept.
class BodyReader : public std::enable_shared_from_this<BodyReader> {
 public:
  BodyReader(http_request request, std::shared_ptr<const HttpRouter> router, std::size_t limit)
      : request_(std::move(request)), router_(std::move(router)), limit_(limit), chunk_(kReadSize) {}

  void Read() {
    request_.body()
        .streambuf()
        .getn(chunk_.data(), chunk_.size())
        .then([self = shared_from_this()](const pplx::task<std::size_t>& task) {
          try {
            self->OnChunk(task.get());
          } catch (const std::exception&) {
            Reply(self->request_, HttpError(400, "malformed HTTP request: body cut short"), /*close=*/true);
          }
        });
  }

 private:
  void OnChunk(std::size_t size) {
    if (size == 0) return WaitForEnd();
    if (body_.size() + size > limit_) too_large_ = true;
    if (!too_large_) body_.append(reinterpret_cast<const char*>(chunk_.data()), size);
    Read();
  }

  // The stream also ends where the connection broke; only the request itself knows which it was.
  void WaitForEnd() {
    request_.content_ready().then([self = shared_from_this()](const pplx::task<http_request>& task) {
      try {
        task.get();
      } catch (const std::exception&) {
        return Reply(self->request_, HttpError(400, "malformed HTTP request: body cut short"), /*close=*/true);
      }
      self->Dispatch();
    });
  }

  void Dispatch() {
    if (too_large_) {
      return Reply(request_, HttpError(413, absl::StrCat("request body too large: at most ", limit_, " bytes")), true);
    }
    HttpRequest request = Translate(request_);
    request.body = std::move(body_);
    auto exchange = std::make_shared<HttpExchange>(
        [original = request_](HttpResponse answer) { Reply(original, std::move(answer), /*close=*/false); });
    router_->Dispatch(std::move(request), HttpReply(std::move(exchange)));
  }

  const http_request request_;
  const std::shared_ptr<const HttpRouter> router_;
  const std::size_t limit_;
  std::vector<std::uint8_t> chunk_;
  std::string body_;
  bool too_large_ = false;
};

std::string ListenerUri(const HttpAddress& address) {
  return absl::StrCat("http://", address.ip ? address.ip->ToString() : "0.0.0.0", ":", address.port, "/");
}

class CpprestHttpServer final : public HttpServer {
 public:
  CpprestHttpServer(std::string text, const HttpAddress& address, std::shared_ptr<const HttpRouter> router,
                    Logger& logger, const HttpServerOptions& options)
      : text_(std::move(text)), logger_(logger), listener_(ListenerUri(address)) {
    const auto handler = [router = std::move(router), limit = options.max_body_size](const http_request& request) {
      std::make_shared<BodyReader>(request, router, limit)->Read();
    };
    listener_.support(handler);
    listener_.support(web::http::methods::OPTIONS, handler);  // else the library answers these two itself
    listener_.support(web::http::methods::TRCE, handler);
  }

  // While another server of this kind lives in the process, the library keeps the port and answers 404 there.
  ~CpprestHttpServer() override {
    try {
      listener_.close().wait();
    } catch (const std::exception& error) {
      logger_.Warning("HTTP server not closed", {{"address", text_}, {"error", error.what()}});
    }
  }

  // Throws what the library throws.
  void Open() { listener_.open().wait(); }

  std::string address() const override { return text_; }

 private:
  const std::string text_;
  Logger& logger_;
  http_listener listener_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> ServeWithCpprest(const std::string& text, const HttpAddress& address,
                                                             std::shared_ptr<const HttpRouter> router, Logger& logger,
                                                             const HttpServerOptions& options) {
  if (address.port == 0 || (address.ip && !address.ip->IsV4())) {
    return absl::UnimplementedError(
        absl::StrCat("listen on ", text, ": cpprestsdk takes an IPv4 address and a port other than 0"));
  }
  // Without this, opening a port that a server of this process has would take it away from that one.
  RETURN_IF_ERROR(ProbeTcp(text, address));
  LimitPool();
  try {
    auto server = std::make_unique<CpprestHttpServer>(text, address, std::move(router), logger, options);
    server->Open();
    return server;
  } catch (const boost::system::system_error& error) {
    return ErrnoError(error.code().value(), absl::StrCat("listen on ", text));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("listen on ", text, ": ", error.what()));
  }
}

}  // namespace weave
