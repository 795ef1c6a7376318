// PeerClient against a peer that answers, refuses, hangs, dies or never was.
#include "client/peer_client.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/support/catch.h"

namespace weave {
namespace {

class TempDirectory {
 public:
  TempDirectory() {
    char name[] = "/tmp/weave-client-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path_ = name;
  }
  ~TempDirectory() {
    ::unlink(socket().c_str());
    ::rmdir(path_.c_str());
  }

  std::string socket() const { return path_ + "/peer.sock"; }

 private:
  std::string path_;
};

class FakePeer final : public v1::Peer::Service {
 public:
  explicit FakePeer(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    REQUIRE(server_ != nullptr);
  }
  ~FakePeer() override {
    LetGo();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  // Ends every wait of a method that hangs.
  void LetGo() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

  grpc::Status error = grpc::Status::OK;
  bool hang = false;
  v1::AttachRequest last_attach;

  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*, v1::PeerInfo* reply) override {
    reply->set_version("1.2.3");
    reply->set_pid(42);
    {
      const std::lock_guard lock(mutex_);
      ++info_count_;
      changed_.notify_all();
    }
    return Answer();
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest* request, v1::StatusPage* reply) override {
    reply->set_text("page <" + request->page() + ">\n");
    return Answer();
  }
  grpc::Status GetReport(grpc::ServerContext*, const v1::GetReportRequest* request, v1::Report* reply) override {
    reply->set_text(request->has_format() ? "<" + request->format() + ">" : std::string(std::size_t{8} << 20, 'x'));
    return Answer();
  }
  grpc::Status Attach(grpc::ServerContext*, const v1::AttachRequest* request, v1::AddressList* reply) override {
    last_attach = *request;
    *reply->mutable_addresses() = request->addresses();
    reply->add_warnings("careful");
    return Answer();
  }
  // Until somebody has asked twice whether we live.
  grpc::Status AwaitRing(grpc::ServerContext*, const v1::AwaitRingRequest*, v1::AwaitRingReply*) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return info_count_ >= 2; });
    return error;
  }
  grpc::Status Stop(grpc::ServerContext* context, const v1::StopRequest*, v1::StopReply*) override {
    context->TryCancel();
    return Answer();
  }

 private:
  grpc::Status Answer() {
    std::unique_lock lock(mutex_);
    if (hang) changed_.wait(lock, [this] { return released_; });
    return error;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false;
  int info_count_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A unix socket that listens and does nothing else: a process that hangs.
class SilentListener {
 public:
  explicit SilentListener(const std::string& path, int backlog = 4) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, backlog) == 0);
  }
  ~SilentListener() { Close(); }

  // Takes the next connection and drops it: a process that dies while asked.
  void AcceptAndClose() { ::close(::accept(fd_, nullptr, nullptr)); }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

constexpr PeerDeadlines kImpatient = {.query = absl::Milliseconds(200),
                                      .change = absl::Milliseconds(300),
                                      .stop = absl::Milliseconds(200),
                                      .pulse = absl::Milliseconds(100)};

PeerClient ConnectTo(const TempDirectory& directory, PeerDeadlines deadlines = {}) {
  absl::StatusOr<PeerClient> client = PeerClient::Connect(directory.socket(), deadlines);
  REQUIRE(client.ok());
  return *std::move(client);
}

std::string PidText() { return absl::StrCat("(pid ", ::getpid(), ")"); }

}  // namespace

TEST_CASE("A client asks several things on one connection and knows the peer's process", "[client]") {
  const TempDirectory directory;
  FakePeer peer(directory.socket());
  PeerClient client = ConnectTo(directory);

  CHECK(client.server_pid() == ::getpid());
  const auto info = client.GetInfo();
  REQUIRE(info.ok());
  CHECK(info->version() == "1.2.3");
  CHECK(client.GetStatus("ipam").value() == "page <ipam>\n");
  CHECK(client.GetReport(std::nullopt).value().size() == std::size_t{8} << 20);  // beyond gRPC's own limit
  CHECK(client.GetReport("{{\xff}}").value() == "<{{\xff}}>");

  v1::AttachRequest request;
  request.set_container("web");
  request.add_addresses("10.2.1.1/24");
  const auto addresses = client.Attach(request);
  REQUIRE(addresses.ok());
  CHECK(addresses->addresses(0) == "10.2.1.1/24");
  CHECK(addresses->warnings(0) == "careful");
  CHECK(peer.last_attach.container() == "web");
}

TEST_CASE("What the peer refuses arrives with its code and text", "[client]") {
  const TempDirectory directory;
  FakePeer peer(directory.socket());
  PeerClient client = ConnectTo(directory);
  for (int code = 1; code <= 16; ++code) {
    if (code == grpc::StatusCode::DEADLINE_EXCEEDED) continue;  // reads the same whoever gave up
    peer.error = grpc::Status(static_cast<grpc::StatusCode>(code), "no such container: web");
    const absl::Status status = client.Attach({}).status();
    CHECK(static_cast<int>(status.code()) == code);
    CHECK(status.message() == "no such container: web");
  }
}

TEST_CASE("A method the peer does not have is Unimplemented", "[client]") {
  const TempDirectory directory;
  const FakePeer peer(directory.socket());
  PeerClient client = ConnectTo(directory);
  CHECK(absl::IsUnimplemented(client.ListEndpoints({}).status()));
}

TEST_CASE("A peer that was never started is told from one that died", "[client]") {
  const TempDirectory directory;
  CHECK(absl::IsNotFound(PeerClient::Connect(directory.socket()).status()));
  SilentListener(directory.socket()).Close();
  const absl::Status dead = PeerClient::Connect(directory.socket()).status();
  CHECK(absl::IsUnavailable(dead));
  CHECK(absl::StrContains(dead.message(), directory.socket()));
}

TEST_CASE("A path that no socket can have is refused by name", "[client]") {
  CHECK(absl::IsInvalidArgument(PeerClient::Connect("").status()));
  const absl::Status status = PeerClient::Connect("/tmp/" + std::string(200, 'x')).status();
  CHECK(absl::IsInvalidArgument(status));
  CHECK(absl::StrContains(status.message(), "205 bytes"));
}

TEST_CASE("A peer that accepts but does not answer is named with its process after the deadline", "[client]") {
  const TempDirectory directory;
  const SilentListener listener(directory.socket());
  PeerClient client = ConnectTo(directory, kImpatient);
  const absl::Status status = client.GetInfo().status();
  CHECK(absl::IsDeadlineExceeded(status));
  CHECK(status.message() == "the peer " + PidText() + " does not answer: no reply within 200ms");
}

TEST_CASE("A peer stuck in one call is given up for that call only", "[client]") {
  const TempDirectory directory;
  FakePeer peer(directory.socket());
  PeerClient client = ConnectTo(directory, kImpatient);
  peer.hang = true;
  CHECK(absl::IsDeadlineExceeded(client.GetStatus("").status()));
  peer.LetGo();
  CHECK(client.GetStatus("").ok());
}

TEST_CASE("A call that may wait goes on as long as the peer lives", "[client]") {
  const TempDirectory directory;
  FakePeer peer(directory.socket());
  PeerClient client = ConnectTo(directory, {.pulse = absl::Milliseconds(20)});
  CHECK(client.AwaitRing().ok());

  const TempDirectory elsewhere;
  const SilentListener listener(elsewhere.socket());
  PeerClient unheard = ConnectTo(elsewhere, kImpatient);
  const absl::Status status = unheard.AwaitRing();
  CHECK(absl::IsDeadlineExceeded(status));
  CHECK(status.message() == "the peer " + PidText() + " does not answer: no reply within 200ms");
}

TEST_CASE("A listener whose queue is full is given up after the deadline", "[client]") {
  const TempDirectory directory;
  const SilentListener listener(directory.socket(), 0);
  std::vector<PeerClient> waiting;
  absl::Status status;
  while (status.ok() && waiting.size() < 10) {
    absl::StatusOr<PeerClient> client = PeerClient::Connect(directory.socket(), kImpatient);
    status = client.status();
    if (client.ok()) waiting.push_back(*std::move(client));
  }
  CHECK(absl::IsDeadlineExceeded(status));
}

TEST_CASE("A peer that dies while it is asked is named, and a stop that kills it has worked", "[client]") {
  const TempDirectory directory;
  SilentListener listener(directory.socket());
  {
    PeerClient client = ConnectTo(directory);
    listener.AcceptAndClose();
    const absl::Status status = client.GetInfo().status();
    CHECK(absl::IsUnavailable(status));
    CHECK(absl::StartsWith(status.message(), "the peer " + PidText() + " closed the connection"));
  }
  PeerClient client = ConnectTo(directory);
  listener.AcceptAndClose();
  CHECK(client.Stop().ok());
}

}  // namespace weave
