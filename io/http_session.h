// One connection of the Beast body: reads requests, hands them to the router, writes answers, until either side closes.
// Private to io/http_server.cc; everything here runs on that server's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "io/http_router.h"
#include "io/http_server.h"
#include "io/mutex.h"

namespace weave {

// The way from any thread to the server's, closed before the server goes: an answer that comes later is dropped.
class HttpMailbox {
 public:
  explicit HttpMailbox(boost::asio::io_context& io) : io_(&io) {}

  void Post(absl::AnyInvocable<void()> task);
  void Close();

 private:
  Mutex mutex_;
  boost::asio::io_context* io_ ABSL_GUARDED_BY(mutex_);
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol>;

  // Keeps itself alive while it has something to wait for; says `on_end` when it is destroyed.
  HttpSession(Socket socket, std::shared_ptr<const HttpRouter> router, const HttpServerOptions& options,
              std::shared_ptr<HttpMailbox> mailbox, std::function<void(HttpSession*)> on_end);
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;
  ~HttpSession();

  void Start() { ReadHeader(); }

  // Drops the connection; an open request sees OnGone.
  void Close();

 private:
  using Stream = boost::beast::basic_stream<boost::asio::generic::stream_protocol>;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Response = boost::beast::http::response<boost::beast::http::string_body>;

  void ReadHeader();
  void ReadBody();
  void Fail(boost::beast::error_code error);
  void Dispatch();
  void WatchClient();
  void Answer(std::uint64_t request_number, HttpResponse answer);
  void Write(HttpResponse answer, bool keep_alive);
  void Linger();

  Stream stream_;
  const std::shared_ptr<const HttpRouter> router_;
  const HttpServerOptions options_;
  const std::shared_ptr<HttpMailbox> mailbox_;
  const std::function<void(HttpSession*)> on_end_;

  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;            // of the request at hand
  std::optional<Response> response_;        // while it is written
  std::shared_ptr<HttpExchange> exchange_;  // of the request that is with the router
  std::shared_ptr<HttpSession> waiting_;    // ourselves, while nothing but the router's answer is to come
  std::uint64_t request_number_ = 0;        // counts requests, so that a late event finds its own or none
};

}  // namespace weave
