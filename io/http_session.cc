#include "io/http_session.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace weave {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

// A client that is still sending when it is refused must find the answer before the reset: what it sends is read and
// thrown away for this long.
constexpr std::chrono::seconds kLinger(2);

absl::string_view View(beast::string_view text) { return absl::string_view(text.data(), text.size()); }

}  // namespace

void HttpMailbox::Post(absl::AnyInvocable<void()> task) {
  const MutexLock lock(&mutex_);
  if (io_ != nullptr) boost::asio::post(*io_, std::move(task));
}

void HttpMailbox::Close() {
  const MutexLock lock(&mutex_);
  io_ = nullptr;
}

HttpSession::HttpSession(Socket socket, std::shared_ptr<const HttpRouter> router, const HttpServerOptions& options,
                         std::shared_ptr<HttpMailbox> mailbox, std::function<void(HttpSession*)> on_end)
    : stream_(std::move(socket)),
      router_(std::move(router)),
      options_(options),
      mailbox_(std::move(mailbox)),
      on_end_(std::move(on_end)) {}

HttpSession::~HttpSession() { on_end_(this); }

void HttpSession::Close() {
  const auto keep = std::exchange(waiting_, nullptr);
  ++request_number_;
  stream_.close();
  if (const auto exchange = std::exchange(exchange_, nullptr)) exchange->ClientGone();
}

void HttpSession::ReadHeader() {
  ++request_number_;
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(options_.max_header_size));
  parser_->body_limit(options_.max_body_size);
  stream_.expires_after(absl::ToChronoNanoseconds(options_.request_timeout));
  http::async_read_header(
      stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
        if (error) return self->Fail(error);
        if (!beast::iequals(self->parser_->get()[http::field::expect], "100-continue")) return self->ReadBody();
        static constexpr char kContinue[] = "HTTP/1.1 100 Continue\r\n\r\n";
        boost::asio::async_write(self->stream_, boost::asio::buffer(kContinue, sizeof(kContinue) - 1),
                                 [self](beast::error_code write_error, std::size_t) {
                                   if (write_error) return self->Fail(write_error);
                                   self->ReadBody();
                                 });
      });
}

void HttpSession::ReadBody() {
  http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
    if (error) return self->Fail(error);
    self->stream_.expires_never();
    self->Dispatch();
  });
}

void HttpSession::Fail(beast::error_code error) {
  if (error == http::error::body_limit) {
    Write(HttpError(413, absl::StrCat("request body too large: at most ", options_.max_body_size, " bytes")), false);
  } else if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    Write(HttpError(431, absl::StrCat("request header too large: at most ", options_.max_header_size, " bytes")),
          false);
  } else if (error.category() == beast::error_code(http::error::bad_method).category() &&
             error != http::error::end_of_stream && error != http::error::partial_message) {
    Write(HttpError(400, absl::StrCat("malformed HTTP request: ", error.message())), false);
  } else {
    stream_.close();  // the client closed, stalled or broke off
  }
}

void HttpSession::Dispatch() {
  auto& message = parser_->get();
  HttpRequest request;
  request.method = std::string(View(message.method_string()));
  for (const auto& field : message) {
    request.headers.emplace_back(std::string(View(field.name_string())), std::string(View(field.value())));
  }
  request.body = std::move(message.body());
  if (const absl::Status status = SplitTarget(View(message.target()), request); !status.ok()) {
    return Write(HttpError(400, status.message()), message.keep_alive());
  }
  // The exchange may outlive connection and server, so it knows them only by what can be told to be gone.
  exchange_ = std::make_shared<HttpExchange>(
      [mailbox = mailbox_, weak = weak_from_this(), number = request_number_](HttpResponse answer) mutable {
        mailbox->Post([weak = std::move(weak), number, answer = std::move(answer)]() mutable {
          if (const auto self = weak.lock()) self->Answer(number, std::move(answer));
        });
      });
  waiting_ = shared_from_this();
  WatchClient();
  router_->Dispatch(std::move(request), HttpReply(exchange_));
}

// Reading while a request is open: the end of the stream means that the client has gone, as in Go's net/http, whose
// handlers 2.8 cancels that way. The connection stays, so that a client that only closed its sending side has its
// answer.
void HttpSession::WatchClient() {
  stream_.socket().async_wait(
      Socket::wait_read, [self = shared_from_this(), number = request_number_](beast::error_code error) {
        if (error || number != self->request_number_ || self->exchange_ == nullptr) return;
        char byte = 0;
        const ssize_t size = recv(self->stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        if (size > 0) return;  // the next request, early: it waits its turn, and hides what comes after it
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return self->WatchClient();
        self->exchange_->ClientGone();
      });
}

void HttpSession::Answer(std::uint64_t request_number, HttpResponse answer) {
  if (request_number != request_number_ || exchange_ == nullptr) return;
  exchange_ = nullptr;
  const auto keep = std::exchange(waiting_, nullptr);
  Write(std::move(answer), parser_->get().keep_alive());
}

void HttpSession::Write(HttpResponse answer, bool keep_alive) {
  const bool with_body = answer.status != 204 && answer.status != 304;
  response_.emplace();
  response_->version(11);
  response_->result(static_cast<unsigned>(answer.status));
  response_->keep_alive(keep_alive);
  if (with_body) {
    if (!answer.content_type.empty() || !answer.body.empty()) {
      response_->set(http::field::content_type,
                     answer.content_type.empty() ? "text/plain; charset=utf-8" : answer.content_type);
    }
    response_->content_length(answer.body.size());
    if (parser_->get().method() != http::verb::head) response_->body() = std::move(answer.body);
  }
  stream_.expires_after(absl::ToChronoNanoseconds(options_.request_timeout));
  http::async_write(stream_, *response_, [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
    self->response_.reset();
    if (error) return self->stream_.close();
    if (keep_alive) return self->ReadHeader();
    self->stream_.socket().shutdown(Socket::shutdown_send, error);
    self->stream_.expires_after(kLinger);
    self->Linger();
  });
}

void HttpSession::Linger() {
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](beast::error_code error, std::size_t) {
    if (error) return self->stream_.close();
    self->Linger();
  });
}

}  // namespace weave
