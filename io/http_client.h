// A small synchronous HTTP/1.1 client for the Docker API and for tests. Boost.Beast for unix sockets and TCP alike:
// one code path, a deadline over the whole exchange and a bound on the answer.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "io/http_message.h"

namespace weave {

class HttpClient {
 public:
  // bytes; a longer answer is ResourceExhausted
  static constexpr std::size_t kMaxBodySize = 8 * 1024 * 1024;

  // `address`: unix:///path, tcp://HOST:PORT or http://HOST:PORT. InvalidArgument otherwise. Connects to nothing yet.
  static absl::StatusOr<HttpClient> Create(absl::string_view address);

  // One request on a connection of its own. `target` is path and query, as on the wire. Any status code is a result,
  // not an error. Blocks up to `timeout`, from connecting to the last byte: for worker threads. Errors name the
  // address:
  //   Unavailable        nobody listens, or the connection ended without an answer
  //   DeadlineExceeded   no whole answer in time
  //   ResourceExhausted  the answer is larger than kMaxBodySize
  //   Internal           the answer is not HTTP
  // A host name is looked up by the system's resolver, which may overrun the deadline with its own time-out.
  absl::StatusOr<HttpResponse> Get(absl::string_view target, Duration timeout) const;
  absl::StatusOr<HttpResponse> Post(absl::string_view target, absl::string_view content_type, absl::string_view body,
                                    Duration timeout) const;
  absl::StatusOr<HttpResponse> Call(const HttpRequest& request, Duration timeout) const;

  // Takes the pieces of a body; false ends the stream.
  using StreamSink = std::function<bool(absl::string_view piece)>;

  // GET for an answer without end, such as Docker's events: `sink` gets the body as it comes, on this thread. Blocks:
  // until `stop_fd` is readable or the sink has enough, which is OK, or the stream ends, which is Unavailable.
  // `patience` is for connecting and the answer's head; after that silence has no limit.
  absl::Status Stream(absl::string_view target, Duration patience, int stop_fd, const StreamSink& sink) const;

  const std::string& address() const { return address_; }

 private:
  HttpClient() = default;

  std::string address_;    // as given, for messages
  std::string unix_path_;  // empty: TCP
  std::string host_;
  std::string port_;
};

}  // namespace weave
