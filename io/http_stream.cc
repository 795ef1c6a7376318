// HttpClient::Stream: an answer that has no end, piece by piece.
#include <unistd.h>

#include <array>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/fd.h"
#include "io/http_client.h"

namespace weave {
namespace {

using StreamProtocol = boost::asio::generic::stream_protocol;
using StreamError = boost::beast::error_code;

constexpr std::uint32_t kMaxStreamHeaderSize = 64 * 1024;

// One endless exchange on an io_context that only the calling thread runs.
class EndlessExchange {
 public:
  EndlessExchange(const boost::beast::http::request<boost::beast::http::empty_body>& request,
                  const HttpClient::StreamSink& sink)
      : stream_(io_), stop_(io_), request_(request), sink_(sink) {
    parser_.header_limit(kMaxStreamHeaderSize);
    parser_.body_limit(boost::none);
  }

  void WatchStop(int stop_fd) {
    stop_.assign(::dup(stop_fd));
    stop_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](StreamError error) {
      if (error) return;
      stopped_ = true;
      Finish({});
    });
  }

  void Connect(std::vector<StreamProtocol::endpoint> endpoints, Duration patience) {
    endpoints_ = std::move(endpoints);
    stream_.expires_after(absl::ToChronoNanoseconds(patience));
    ConnectNext();
  }

  void Run() { io_.run(); }

  bool stopped() const { return stopped_; }
  bool connected() const { return connected_; }
  StreamError error() const { return error_; }
  int status() const { return parser_.is_header_done() ? static_cast<int>(parser_.get().result_int()) : 0; }

 private:
  void Finish(StreamError error) {
    error_ = error;
    io_.stop();
  }

  void ConnectNext() {
    if (next_endpoint_ == endpoints_.size()) return Finish(boost::asio::error::host_not_found);
    stream_.async_connect(endpoints_[next_endpoint_++], [this](StreamError error) {
      if (error && next_endpoint_ < endpoints_.size()) {
        stream_.close();
        return ConnectNext();
      }
      if (error) return Finish(error);
      connected_ = true;
      Ask();
    });
  }

  void Ask() {
    boost::beast::http::async_write(stream_, request_, [this](StreamError write_error, std::size_t) {
      if (write_error) return Finish(write_error);
      boost::beast::http::async_read_header(stream_, buffer_, parser_, [this](StreamError error, std::size_t) {
        if (error || parser_.get().result_int() != 200) return Finish(error);
        stream_.expires_never();  // from now on silence means that nothing happens
        ReadPiece();
      });
    });
  }

  void ReadPiece() {
    parser_.get().body().data = piece_.data();
    parser_.get().body().size = piece_.size();
    boost::beast::http::async_read_some(stream_, buffer_, parser_, [this](StreamError error, std::size_t) {
      const std::size_t size = piece_.size() - parser_.get().body().size;
      if (size > 0 && !sink_(absl::string_view(piece_.data(), size))) {
        stopped_ = true;
        return Finish({});
      }
      if (error && error != boost::beast::http::error::need_buffer) return Finish(error);
      if (parser_.is_done()) return Finish(boost::beast::http::error::end_of_stream);
      ReadPiece();
    });
  }

  boost::asio::io_context io_{1};
  boost::beast::basic_stream<StreamProtocol> stream_;
  boost::asio::posix::stream_descriptor stop_;
  const boost::beast::http::request<boost::beast::http::empty_body>& request_;
  const HttpClient::StreamSink& sink_;
  std::vector<StreamProtocol::endpoint> endpoints_;
  std::size_t next_endpoint_ = 0;
  boost::beast::flat_buffer buffer_;
  boost::beast::http::response_parser<boost::beast::http::buffer_body> parser_;
  std::array<char, 16 * 1024> piece_;
  StreamError error_;
  bool connected_ = false;
  bool stopped_ = false;
};

}  // namespace

absl::Status HttpClient::Stream(absl::string_view target, Duration patience, int stop_fd,
                                const StreamSink& sink) const {
  const std::string what = absl::StrCat("GET ", target, " at ", address_);
  try {
    boost::beast::http::request<boost::beast::http::empty_body> request;
    request.method(boost::beast::http::verb::get);
    request.target(std::string(target));
    request.version(11);
    request.set(boost::beast::http::field::host, unix_path_.empty() ? absl::StrCat(host_, ":", port_) : "localhost");
    std::vector<StreamProtocol::endpoint> endpoints;
    if (!unix_path_.empty()) {
      endpoints.emplace_back(boost::asio::local::stream_protocol::endpoint(unix_path_));
    } else {
      boost::asio::io_context io;
      boost::asio::ip::tcp::resolver resolver(io);
      for (const auto& entry : resolver.resolve(host_, port_)) endpoints.emplace_back(entry.endpoint());
    }
    EndlessExchange exchange(request, sink);
    exchange.WatchStop(stop_fd);
    exchange.Connect(std::move(endpoints), patience);
    exchange.Run();
    if (exchange.stopped()) return absl::OkStatus();
    if (!exchange.connected())
      return absl::UnavailableError(absl::StrCat(what, ": cannot connect: ", exchange.error().message()));
    if (exchange.status() != 0 && exchange.status() != 200)
      return absl::UnavailableError(absl::StrCat(what, ": answered with HTTP status ", exchange.status()));
    return absl::UnavailableError(absl::StrCat(what, ": ended: ", exchange.error().message()));
  } catch (const std::exception& error) {
    return absl::UnavailableError(absl::StrCat(what, ": ", error.what()));
  }
}

}  // namespace weave
