// A stand-in for `weaver` that speaks its two protocols, to `weave launch` (io/service_notify.h) and to the API's
// clients, and fails on demand. It makes nothing on the host. Flags it does not know are ignored, as all flags of
// launch reach it.
//
//   --fake-journal=FILE   append a line to FILE: "start PID MILLISECONDS" (monotonic), "args ...", "restarted yes" or
//                         "no", "cleanup ...", "delete-datapath ..."
//   --fake-fail=TEXT      report TEXT as the reason for not starting and exit with --fake-exit
//   --fake-warn=TEXT      warn of TEXT before it is ready, or fails
//   --fake-die            print a line and exit with --fake-exit without reporting
//   --fake-crash-if=FILE  exit with --fake-exit as soon as it is ready and FILE exists
//   --fake-exit=N         that exit status (1)
//   --fake-never-ready    neither get ready nor end
//   --fake-deaf           get ready, but answer no call and ignore SIGTERM
//   --fake-refuse=TEXT    refuse attach, expose and reset with TEXT
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "io/service_notify.h"
#include "weave/v1/peer.grpc.pb.h"

namespace weave {
namespace {

class Flags {
 public:
  Flags(int argc, char** argv) : args_(argv + 1, argv + argc) {}

  bool Has(const std::string& flag) const {
    for (const std::string& arg : args_)
      if (arg == flag) return true;
    return false;
  }
  std::string Get(const std::string& flag, std::string value = "") const {
    for (const std::string& arg : args_)
      if (absl::StartsWith(arg, flag + "=")) value = arg.substr(flag.size() + 1);
    return value;
  }
  std::string Text() const { return absl::StrJoin(args_, " "); }

 private:
  std::vector<std::string> args_;
};

void Note(const Flags& flags, const std::string& line) {
  const std::string journal = flags.Get("--fake-journal", ::getenv("FAKE_JOURNAL") ? ::getenv("FAKE_JOURNAL") : "");
  if (!journal.empty()) std::ofstream(journal, std::ios::app) << line << "\n";
}

class Service final : public v1::Peer::Service {
 public:
  Service(const Flags& flags, int end_fd) : refusal_(flags.Get("--fake-refuse")), end_fd_(end_fd) {}

 private:
  grpc::Status GetInfo(grpc::ServerContext*, const v1::GetInfoRequest*, v1::PeerInfo* reply) override {
    reply->set_version("9.8.7-fake");
    reply->set_pid(::getpid());
    reply->set_bridge_type("bridge");
    return grpc::Status::OK;
  }
  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest* request, v1::StatusPage* reply) override {
    if (request->page() == "dns") return {grpc::StatusCode::NOT_FOUND, "DNS is off"};
    reply->set_text(absl::StrCat("page <", request->page(), ">\n"));
    return grpc::Status::OK;
  }
  grpc::Status GetReport(grpc::ServerContext*, const v1::GetReportRequest* request, v1::Report* reply) override {
    if (request->format() == "{{") return {grpc::StatusCode::INVALID_ARGUMENT, "unclosed action"};
    reply->set_text(request->has_format() ? absl::StrCat("<", request->format(), ">") : "{}");
    return grpc::Status::OK;
  }
  grpc::Status Attach(grpc::ServerContext*, const v1::AttachRequest* request, v1::AddressList* reply) override {
    *reply->mutable_addresses() = request->addresses();
    reply->add_warnings(
        absl::StrCat("attached ", request->container(), request->no_multicast_route() ? " unicast" : ""));
    return Answer();
  }
  grpc::Status Detach(grpc::ServerContext*, const v1::DetachRequest* request, v1::AddressList* reply) override {
    *reply->mutable_addresses() = request->addresses();
    if (reply->addresses().empty()) reply->add_addresses("10.9.9.9/24");
    return grpc::Status::OK;
  }
  grpc::Status Expose(grpc::ServerContext*, const v1::ExposeRequest* request, v1::AddressList* reply) override {
    *reply->mutable_addresses() = request->addresses();
    if (request->without_masquerade()) reply->add_warnings("not masqueraded");
    return Answer();
  }
  grpc::Status Hide(grpc::ServerContext*, const v1::HideRequest* request, v1::AddressList* reply) override {
    *reply->mutable_addresses() = request->addresses();
    return grpc::Status::OK;
  }
  grpc::Status ListEndpoints(grpc::ServerContext*, const v1::ListEndpointsRequest*, v1::EndpointList* reply) override {
    v1::EndpointList::Endpoint* host = reply->add_endpoints();
    host->set_id("weave:expose");
    host->set_mac("7a:00:00:00:00:01");
    v1::EndpointList::Endpoint* container = reply->add_endpoints();
    container->set_id("0123456789abcdef0123456789abcdef");
    container->set_mac("7a:00:00:00:00:02");
    container->add_addresses("10.2.1.1/24");
    container->add_addresses("10.2.2.1/24");
    return grpc::Status::OK;
  }
  grpc::Status AwaitRing(grpc::ServerContext*, const v1::AwaitRingRequest*, v1::AwaitRingReply*) override {
    return Answer();
  }
  grpc::Status TakeOver(grpc::ServerContext*, const v1::TakeOverRequest* request, v1::TakeOverReply* reply) override {
    reply->set_address_count(request->peer().size() + (request->force() ? 100 : 0));
    return Answer();
  }
  grpc::Status Reset(grpc::ServerContext*, const v1::ResetRequest*, v1::ResetReply*) override {
    const grpc::Status status = Answer();
    if (status.ok()) End();
    return status;
  }
  grpc::Status Stop(grpc::ServerContext*, const v1::StopRequest*, v1::StopReply*) override {
    End();
    return grpc::Status::OK;
  }

  grpc::Status Answer() const {
    return refusal_.empty() ? grpc::Status::OK : grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, refusal_);
  }
  void End() const {
    if (::write(end_fd_, "x", 1) != 1) std::abort();
  }

  const std::string refusal_;
  const int end_fd_;
};

int end_pipe[2];

void OnTerm(int) {
  if (::write(end_pipe[1], "x", 1) != 1) ::_exit(99);
}

// Accepts nobody, as a process that hangs.
int BeDeaf(const std::string& socket, ServiceNotifier& notifier) {
  ::signal(SIGTERM, SIG_IGN);
  ::signal(kTakeBackSignal, SIG_IGN);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 98;
  ::listen(fd.get(), 8);
  notifier.Ready();
  while (true) ::pause();
}

int Serve(const Flags& flags, const std::string& socket, ServiceNotifier& notifier) {
  Service service(flags, end_pipe[1]);
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 97;
  notifier.Ready();
  const std::string crash = flags.Get("--fake-crash-if");
  pollfd end = {end_pipe[0], POLLIN, 0};
  while (::poll(&end, 1, crash.empty() ? -1 : 1) <= 0)
    if (!crash.empty() && ::access(crash.c_str(), F_OK) == 0) ::_exit(std::atoi(flags.Get("--fake-exit", "1").c_str()));
  server->Shutdown();
  (void)RemoveIfExists(socket);
  return 0;
}

int Main(const Flags& flags) {
  if (flags.Has("version")) return std::puts("weave 9.8.7-program") < 0;
  if (flags.Has("--cleanup")) {
    Note(flags, "cleanup " + flags.Text());
    return 0;
  }
  if (flags.Has("--delete-datapath")) {
    Note(flags, "delete-datapath " + flags.Text());
    return 0;
  }
  const std::string socket = flags.Get("--api-socket");
  timespec now = {};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  Note(flags, absl::StrCat("start ", ::getpid(), " ", now.tv_sec * 1000 + now.tv_nsec / 1000000));
  Note(flags, "args " + flags.Text());
  Note(flags, ::getenv(kRestartVariable) == nullptr ? "restarted no" : "restarted yes");
  if (::pipe(end_pipe) != 0) return 96;
  ::signal(SIGTERM, OnTerm);
  ::signal(kTakeBackSignal, OnTerm);

  ServiceNotifier notifier = ServiceNotifier::FromEnvironment();
  const int exit_status = std::atoi(flags.Get("--fake-exit", "1").c_str());
  if (const std::string text = flags.Get("--fake-warn"); !text.empty()) notifier.Warning(text);
  if (const std::string text = flags.Get("--fake-fail"); !text.empty()) {
    notifier.Failed(text, exit_status);
    return exit_status;
  }
  if (flags.Has("--fake-die")) {
    std::fputs("ERROR: something broke\n", stderr);
    return exit_status;
  }
  absl::StatusOr<LockFile> lock = LockFile::Acquire(DirectoryOf(socket) + "/weaver.lock");
  if (!lock.ok()) {
    notifier.Failed(lock.status().message(), 1);
    return 1;
  }
  std::fputs("INFO: fake weaver starts\n", stderr);
  std::ofstream(flags.Get("--db-prefix") + "data.db", std::ios::app).flush();
  if (flags.Has("--fake-never-ready")) {
    notifier.Status("waiting for Godot");
    pollfd end = {end_pipe[0], POLLIN, 0};
    ::poll(&end, 1, -1);
    return 0;
  }
  if (flags.Has("--fake-deaf")) return BeDeaf(socket, notifier);
  return Serve(flags, socket, notifier);
}

}  // namespace
}  // namespace weave

int main(int argc, char** argv) { return weave::Main(weave::Flags(argc, argv)); }
