#include "io/http_server.h"

#include <sys/socket.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "io/http_listen_socket.h"
#include "io/http_session.h"

namespace weave {
namespace {

using Protocol = boost::asio::generic::stream_protocol;

// How long to wait after accept() failed for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause(100);

class BeastHttpServer final : public HttpServer {
 public:
  BeastHttpServer(HttpListenSocket socket, std::shared_ptr<const HttpRouter> router, Logger& logger,
                  const HttpServerOptions& options)
      : listen_socket_(std::move(socket)),
        router_(std::move(router)),
        logger_(logger),
        options_(options),
        mailbox_(std::make_shared<HttpMailbox>(io_)),
        acceptor_(io_),
        accept_pause_(io_) {}
  ~BeastHttpServer() override;

  // Throws what the thread and the acceptor throw.
  void Start();

  std::string address() const override { return listen_socket_.address(); }

 private:
  void Accept();
  void OnConnection(HttpSession::Socket socket);
  void Refuse(HttpSession::Socket socket);
  void CloseAll();

  HttpListenSocket listen_socket_;
  const std::shared_ptr<const HttpRouter> router_;
  Logger& logger_;
  const HttpServerOptions options_;

  // Below: the server's thread only. Sessions are kept by their handlers in io_, so the set goes after io_.
  std::set<HttpSession*> sessions_;
  boost::asio::io_context io_{1};
  const std::shared_ptr<HttpMailbox> mailbox_;
  boost::asio::basic_socket_acceptor<Protocol> acceptor_;
  boost::asio::steady_timer accept_pause_;
  std::thread thread_;
};

BeastHttpServer::~BeastHttpServer() {
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this] { CloseAll(); });
  thread_.join();
}

void BeastHttpServer::Start() {
  acceptor_.assign(Protocol(listen_socket_.family(), 0), listen_socket_.TakeFd().release());
  Accept();
  thread_ = std::thread([this] { io_.run(); });
}

void BeastHttpServer::CloseAll() {
  mailbox_->Close();
  acceptor_.close();
  for (HttpSession* session : std::set<HttpSession*>(sessions_)) session->Close();
  io_.stop();
}

void BeastHttpServer::Accept() {
  acceptor_.async_accept([this](boost::system::error_code error, HttpSession::Socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    if (!error) {
      OnConnection(std::move(socket));
      return Accept();
    }
    logger_.Warning("HTTP connection not accepted", {{"address", address()}, {"error", error.message()}});
    accept_pause_.expires_after(kAcceptPause);
    accept_pause_.async_wait([this](boost::system::error_code wait_error) {
      if (!wait_error) Accept();
    });
  });
}

void BeastHttpServer::OnConnection(HttpSession::Socket socket) {
  if (sessions_.size() >= static_cast<std::size_t>(options_.max_connection_count)) return Refuse(std::move(socket));
  const auto session = std::make_shared<HttpSession>(std::move(socket), router_, options_, mailbox_,
                                                     [this](HttpSession* ended) { sessions_.erase(ended); });
  sessions_.insert(session.get());
  session->Start();
}

// One short try: a client that has to be refused gets no memory and no time of ours.
void BeastHttpServer::Refuse(HttpSession::Socket socket) {
  const std::string body = absl::StrCat("too many connections: at most ", options_.max_connection_count, "\n");
  const std::string text = absl::StrCat(
      "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
      "Content-Length: ",
      body.size(), "\r\n\r\n", body);
  if (send(socket.native_handle(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
  boost::system::error_code ignored;
  socket.shutdown(HttpSession::Socket::shutdown_send, ignored);
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Listen(absl::string_view address,
                                                               std::shared_ptr<const HttpRouter> router, Logger& logger,
                                                               const HttpServerOptions& options) {
  ASSIGN_OR_RETURN(HttpListenSocket socket, HttpListenSocket::Open(address, options.unix_mode));
  auto server = std::make_unique<BeastHttpServer>(std::move(socket), std::move(router), logger, options);
  try {
    server->Start();
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(absl::StrCat("serve HTTP on ", server->address(), ": ", error.what()));
  }
  return server;
}

}  // namespace weave
