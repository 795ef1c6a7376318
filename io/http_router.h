// From method and path to a handler, and the answer's way back. Pure of sockets: a server turns bytes into an
// HttpRequest and an HttpReply and calls Dispatch; spec/control.md section 1 gives the rules of 404 and 405.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "io/http_message.h"
#include "io/mutex.h"

namespace weave {

// What a server and the handler of one request share. The server makes it, gives an HttpReply on it to the router and
// says ClientGone() when the connection closes. All members may be called from any thread.
class HttpExchange {
 public:
  using Sender = absl::AnyInvocable<void(HttpResponse) &&>;

  // `sender` is called exactly once, on whatever thread answers. It must not block and outlives nothing: it has to hold
  // what it needs.
  explicit HttpExchange(Sender sender) : sender_(std::move(sender)) {}

  // The first answer wins and returns true; from then on nobody is told that the client has gone.
  bool Send(HttpResponse response);

  // Runs the callback of OnGone, once, unless the request has been answered.
  void ClientGone();

  // Runs `callback` when the client goes before the answer: at once, on this thread, if it has already gone; otherwise
  // on the server's thread. At most one callback; a second is our bug. It must not block.
  void OnGone(absl::AnyInvocable<void() &&> callback);

 private:
  Mutex mutex_;
  Sender sender_ ABSL_GUARDED_BY(mutex_);
  absl::AnyInvocable<void() &&> on_gone_ ABSL_GUARDED_BY(mutex_);
  bool answered_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
};

// The right and the duty to answer one request, from any thread. Dropped without an answer, the client gets status 500.
class HttpReply {
 public:
  explicit HttpReply(std::shared_ptr<HttpExchange> exchange) : exchange_(std::move(exchange)) {}
  HttpReply(HttpReply&&) = default;
  HttpReply& operator=(HttpReply&& other) noexcept;
  ~HttpReply();

  // Once: a second answer is our bug. Harmless when the client or even the server has gone.
  void Send(HttpResponse response);

  // See HttpExchange::OnGone. A waiting operation is cancelled there (contract A6-08); it still answers afterwards.
  void OnGone(absl::AnyInvocable<void() &&> callback);

 private:
  std::shared_ptr<HttpExchange> exchange_;  // null once answered or moved from
};

// One request on its way through a handler.
struct HttpCall {
  HttpRequest request;
  std::vector<std::pair<std::string, std::string>> params;  // of the path, decoded, never empty, without '/'
  HttpReply reply;

  // The path parameter `{name}`, which the pattern must have.
  const std::string& Param(absl::string_view name) const;
};

// Filled first, then shared as const between servers and used from all their threads.
class HttpRouter {
 public:
  // Called on a thread of the server: must not block. Answers through call.reply now or later, from any thread.
  using Handler = absl::AnyInvocable<void(HttpCall) const>;

  HttpRouter() = default;
  HttpRouter(const HttpRouter&) = delete;
  HttpRouter& operator=(const HttpRouter&) = delete;

  // `pattern` is "/expose/{ip}/{prefixlen}": each segment a literal or a parameter, which stands for one segment that
  // is not empty. Several patterns may match a path: of those with the right method the first added wins.
  void Add(absl::string_view method, absl::string_view pattern, Handler handler);

  // Runs the handler; without one answers 404 "404 page not found\n", or 405 without a body when the path is known with
  // another method, or 400 when the path has a malformed escape.
  void Dispatch(HttpRequest request, HttpReply reply) const;

 private:
  struct Segment {
    bool parameter = false;
    std::string text;  // the literal, or the parameter's name
  };
  struct Route {
    std::string method;
    std::vector<Segment> segments;
    Handler handler;
  };

  static bool Matches(const std::vector<Segment>& pattern, const std::vector<std::string>& path);

  std::vector<Route> routes_;
};

}  // namespace weave
