#include "io/http_client.h"

#include <netinet/in.h>
#include <sys/un.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace weave {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr std::uint32_t kMaxHeaderSize = 64 * 1024;

absl::Status BadServerAddress(absl::string_view address) {
  return absl::InvalidArgumentError(absl::StrCat("HTTP server address \"", absl::CHexEscape(address),
                                                 "\": want unix:///PATH, tcp://HOST:PORT or http://HOST:PORT"));
}

// One exchange, on an io_context that only the calling thread runs: connect, write, read, each step starting the next.
class Exchange {
 public:
  explicit Exchange(const http::request<http::string_body>& request) : stream_(io_), request_(request) {
    parser_.header_limit(kMaxHeaderSize);
    parser_.body_limit(HttpClient::kMaxBodySize);
  }

  void ConnectUnix(const std::string& path) {
    endpoints_.emplace_back(asio::local::stream_protocol::endpoint(path));
    ConnectNext();
  }

  void ConnectTcp(const std::string& host, const std::string& port) {
    resolver_.emplace(io_);
    resolver_->async_resolve(host, port,
                             [this](beast::error_code error, const asio::ip::tcp::resolver::results_type& found) {
                               if (error) return Finish(error);
                               for (const auto& entry : found) endpoints_.emplace_back(entry.endpoint());
                               ConnectNext();
                             });
  }

  // Runs until the exchange has ended or `timeout` has passed; then false.
  bool Run(Duration timeout) {
    io_.run_for(absl::ToChronoNanoseconds(timeout));
    return ended_;
  }

  beast::error_code error() const { return error_; }
  bool connected() const { return connected_; }
  http::response<http::string_body>& response() { return parser_.get(); }

 private:
  using Protocol = asio::generic::stream_protocol;

  void Finish(beast::error_code error) {
    error_ = error;
    ended_ = true;
  }

  void ConnectNext() {
    const Protocol::endpoint endpoint = endpoints_[next_endpoint_++];
    stream_.async_connect(endpoint, [this](beast::error_code error) {
      if (error && next_endpoint_ < endpoints_.size()) {
        stream_.close();
        return ConnectNext();
      }
      if (error) return Finish(error);
      connected_ = true;
      Write();
    });
  }

  // A server may answer before it has read all, so a failed write still looks for an answer.
  void Write() {
    http::async_write(stream_, request_, [this](beast::error_code, std::size_t) { ReadHeader(); });
  }

  // In two steps: reading all at once, Beast 1.74 forgets that an announced length is over the limit
  // (basic_parser::put).
  void ReadHeader() {
    http::async_read_header(stream_, buffer_, parser_, [this](beast::error_code error, std::size_t) {
      if (error) return Finish(error);
      http::async_read(stream_, buffer_, parser_,
                       [this](beast::error_code body_error, std::size_t) { Finish(body_error); });
    });
  }

  asio::io_context io_{1};
  beast::basic_stream<Protocol> stream_;
  std::optional<asio::ip::tcp::resolver> resolver_;
  std::vector<Protocol::endpoint> endpoints_;
  std::size_t next_endpoint_ = 0;
  const http::request<http::string_body>& request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  beast::error_code error_;
  bool connected_ = false;
  bool ended_ = false;
};

absl::Status ToStatus(const Exchange& exchange, absl::string_view what) {
  const beast::error_code error = exchange.error();
  if (!error) return absl::OkStatus();
  if (!exchange.connected()) return absl::UnavailableError(absl::StrCat(what, ": cannot connect: ", error.message()));
  if (error == http::error::body_limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, ": the answer is larger than ", HttpClient::kMaxBodySize, " bytes"));
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message ||
      error.category() == boost::system::system_category() || error.category() == asio::error::get_misc_category()) {
    return absl::UnavailableError(absl::StrCat(what, ": the connection ended without an answer: ", error.message()));
  }
  return absl::InternalError(absl::StrCat(what, ": the answer is not HTTP: ", error.message()));
}

}  // namespace

absl::StatusOr<HttpClient> HttpClient::Create(absl::string_view address) {
  HttpClient client;
  client.address_ = std::string(address);
  absl::string_view rest = address;
  if (absl::ConsumePrefix(&rest, "unix://")) {
    if (rest.empty() || rest.front() != '/' || rest.size() >= sizeof(sockaddr_un::sun_path))
      return BadServerAddress(address);
    client.unix_path_ = std::string(rest);
    return client;
  }
  if (!absl::ConsumePrefix(&rest, "tcp://") && !absl::ConsumePrefix(&rest, "http://")) return BadServerAddress(address);
  absl::ConsumeSuffix(&rest, "/");
  const std::size_t colon = rest.rfind(':');
  if (colon == absl::string_view::npos) return BadServerAddress(address);
  absl::string_view host = rest.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[") && !absl::ConsumeSuffix(&host, "]")) return BadServerAddress(address);
  std::uint32_t port = 0;
  if (host.empty() || host.find_first_of("/?#@ ") != absl::string_view::npos ||
      !absl::SimpleAtoi(rest.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return BadServerAddress(address);
  }
  client.host_ = std::string(host);
  client.port_ = absl::StrCat(port);
  return client;
}

absl::StatusOr<HttpResponse> HttpClient::Get(absl::string_view target, Duration timeout) const {
  HttpRequest request;
  request.method = "GET";
  RETURN_IF_ERROR(SplitTarget(target, request));
  return Call(request, timeout);
}

absl::StatusOr<HttpResponse> HttpClient::Post(absl::string_view target, absl::string_view content_type,
                                              absl::string_view body, Duration timeout) const {
  HttpRequest request;
  request.method = "POST";
  RETURN_IF_ERROR(SplitTarget(target, request));
  request.headers.emplace_back("Content-Type", std::string(content_type));
  request.body = std::string(body);
  return Call(request, timeout);
}

absl::StatusOr<HttpResponse> HttpClient::Call(const HttpRequest& request, Duration timeout) const {
  const std::string what = absl::StrCat(request.method, " ", request.path, " at ", address_);
  try {
    http::request<http::string_body> message;
    message.method_string(request.method);
    message.target(request.query.empty() ? request.path : absl::StrCat(request.path, "?", request.query));
    message.version(11);
    message.set(http::field::host, unix_path_.empty() ? absl::StrCat(host_, ":", port_) : "localhost");
    for (const auto& [name, value] : request.headers) message.set(name, value);
    message.keep_alive(false);
    message.body() = request.body;
    message.prepare_payload();

    Exchange exchange(message);
    if (unix_path_.empty()) {
      exchange.ConnectTcp(host_, port_);
    } else {
      exchange.ConnectUnix(unix_path_);
    }
    if (!exchange.Run(timeout)) {
      return absl::DeadlineExceededError(absl::StrCat(what, ": no answer within ", absl::FormatDuration(timeout)));
    }
    RETURN_IF_ERROR(ToStatus(exchange, what));
    auto& answer = exchange.response();
    return HttpResponse{.status = static_cast<int>(answer.result_int()),
                        .content_type = answer[http::field::content_type].to_string(),
                        .body = std::move(answer.body())};
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(what, ": ", error.what()));
  }
}

}  // namespace weave
