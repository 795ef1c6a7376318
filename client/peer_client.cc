#include "client/peer_client.h"

#include <fcntl.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/create_channel_posix.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

// The report of a network of thousands is beyond gRPC's own limit of 4 MiB.
constexpr int kMaxReplySize = 64 << 20;  // bytes

// A descriptor until gRPC owns it (io/fd.h is not for this room).
class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

absl::Status ConnectError(int err, absl::string_view path) {
  const std::string text = absl::StrCat("connect to ", path, ": ", std::strerror(err));
  switch (err) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case EAGAIN:
      return absl::DeadlineExceededError(absl::StrCat("connect to ", path, ": its listener accepts nobody"));
    default:
      return absl::UnavailableError(text);
  }
}

pid_t PidOfListener(int fd) {
  ucred credentials = {};
  socklen_t size = sizeof credentials;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

// gRPC reports every broken connection on standard error by itself; what the user should know is in our statuses.
void SilenceGrpc() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
}

// Without this, whoever lets go of the last connection waits for gRPC's threads to end, which takes longer than most
// calls: programs that end do not care, others will connect again.
void KeepGrpc() {
  static const bool kStarted = (grpc_init(), true);
  (void)kStarted;
}

gpr_timespec DeadlineIn(Duration duration) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                      gpr_time_from_nanos(absl::ToInt64Nanoseconds(duration), GPR_TIMESPAN));
}

}  // namespace

absl::StatusOr<PeerClient> PeerClient::Connect(absl::string_view socket_path, PeerDeadlines deadlines) {
  sockaddr_un address = {};
  if (socket_path.empty() || socket_path.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(absl::StrCat("API socket \"", socket_path, "\" has ", socket_path.size(),
                                                   " bytes, want a path of 1 to ", sizeof address.sun_path - 1));
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());

  Socket fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return absl::InternalError(absl::StrCat("socket: ", std::strerror(errno)));
  const timeval patience = absl::ToTimeval(deadlines.query);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return ConnectError(errno, socket_path);

  const int grpcs = ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0);
  if (grpcs < 0) return absl::InternalError(absl::StrCat("duplicate a descriptor: ", std::strerror(errno)));
  SilenceGrpc();
  KeepGrpc();
  const pid_t pid = PidOfListener(fd.get());
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReplySize);
  return PeerClient(grpc::CreateCustomInsecureChannelFromFd("weave-peer", grpcs, arguments), fd.release(), pid,
                    deadlines);
}

PeerClient::PeerClient(std::shared_ptr<grpc::Channel> channel, int socket, pid_t server_pid, PeerDeadlines deadlines)
    : channel_(std::move(channel)),
      stub_(v1::Peer::NewStub(channel_)),
      socket_(socket),
      server_pid_(server_pid),
      deadlines_(deadlines) {}

PeerClient::PeerClient(PeerClient&& other) noexcept
    : channel_(std::move(other.channel_)),
      stub_(std::move(other.stub_)),
      socket_(std::exchange(other.socket_, -1)),
      server_pid_(other.server_pid_),
      deadlines_(other.deadlines_) {}

PeerClient::~PeerClient() {
  if (socket_ >= 0) ::close(socket_);
}

bool PeerClient::ConnectionEnded() const {
  pollfd state = {socket_, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0;
}

absl::Status PeerClient::ToStatus(const grpc::Status& status, Duration deadline) const {
  if (status.ok()) return absl::OkStatus();
  const std::string peer = absl::StrCat("the peer (pid ", server_pid_, ") ");
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
    return absl::DeadlineExceededError(
        absl::StrCat(peer, "does not answer: no reply within ", absl::FormatDuration(deadline)));
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && ConnectionEnded())
    return absl::UnavailableError(absl::StrCat(peer, "closed the connection: ", status.error_message()));
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

template <typename Request, typename Reply>
absl::StatusOr<Reply> PeerClient::Call(grpc::Status (v1::Peer::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                              Reply*),
                                       const Request& request, Duration deadline) {
  grpc::ClientContext context;
  context.set_deadline(DeadlineIn(deadline));
  Reply reply;
  RETURN_IF_ERROR(ToStatus((stub_.get()->*method)(&context, request, &reply), deadline));
  return reply;
}

template <typename Request, typename Reply>
absl::StatusOr<Reply> PeerClient::CallAndWait(std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (
                                                  v1::Peer::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                           grpc::CompletionQueue*),
                                              const Request& request, Duration patience, absl::string_view what) {
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  Reply reply;
  grpc::Status status;
  const std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> call =
      (stub_.get()->*method)(&context, request, &queue);
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  Duration waited;
  while (queue.AsyncNext(&tag, &ok, DeadlineIn(deadlines_.pulse)) == grpc::CompletionQueue::TIMEOUT) {
    waited += deadlines_.pulse;
    absl::Status give_up = GetInfo().status();
    if (give_up.ok() && waited < patience) continue;
    context.TryCancel();
    queue.Next(&tag, &ok);
    if (!give_up.ok()) return give_up;
    return absl::DeadlineExceededError(
        absl::StrCat("after ", absl::FormatDuration(waited), " still waiting for ", what));
  }
  RETURN_IF_ERROR(ToStatus(status, deadlines_.pulse));
  return reply;
}

absl::StatusOr<v1::PeerInfo> PeerClient::GetInfo() {
  return Call(&v1::Peer::Stub::GetInfo, v1::GetInfoRequest(), deadlines_.query);
}

absl::StatusOr<std::string> PeerClient::GetStatus(absl::string_view page) {
  v1::GetStatusRequest request;
  request.set_page(std::string(page));
  ASSIGN_OR_RETURN(v1::StatusPage reply, Call(&v1::Peer::Stub::GetStatus, request, deadlines_.query));
  return std::move(*reply.mutable_text());
}

absl::StatusOr<std::string> PeerClient::GetReport(const std::optional<std::string>& format) {
  v1::GetReportRequest request;
  if (format.has_value()) request.set_format(*format);
  ASSIGN_OR_RETURN(v1::Report reply, Call(&v1::Peer::Stub::GetReport, request, deadlines_.query));
  return std::move(*reply.mutable_text());
}

absl::StatusOr<v1::Diagnosis> PeerClient::GetDiagnosis() {
  return Call(&v1::Peer::Stub::GetDiagnosis, v1::GetDiagnosisRequest(), deadlines_.query);
}

absl::Status PeerClient::ConnectTo(const std::vector<std::string>& peers, bool replace) {
  v1::ConnectRequest request;
  for (const std::string& peer : peers) request.add_peers(peer);
  request.set_replace(replace);
  return Call(&v1::Peer::Stub::Connect, request, deadlines_.change).status();
}

absl::Status PeerClient::Forget(const std::vector<std::string>& peers) {
  v1::ForgetRequest request;
  for (const std::string& peer : peers) request.add_peers(peer);
  return Call(&v1::Peer::Stub::Forget, request, deadlines_.change).status();
}

absl::StatusOr<v1::AddressList> PeerClient::Attach(const v1::AttachRequest& request) {
  return CallAndWait(&v1::Peer::Stub::AsyncAttach, request);
}

absl::StatusOr<v1::AddressList> PeerClient::Detach(const v1::DetachRequest& request) {
  return Call(&v1::Peer::Stub::Detach, request, deadlines_.change);
}

absl::StatusOr<v1::EndpointList> PeerClient::ListEndpoints(const v1::ListEndpointsRequest& request) {
  return Call(&v1::Peer::Stub::ListEndpoints, request, deadlines_.query);
}

absl::StatusOr<v1::AddressList> PeerClient::Expose(const v1::ExposeRequest& request) {
  return CallAndWait(&v1::Peer::Stub::AsyncExpose, request);
}

absl::StatusOr<v1::AddressList> PeerClient::Hide(const v1::HideRequest& request) {
  return Call(&v1::Peer::Stub::Hide, request, deadlines_.change);
}

absl::StatusOr<v1::AddressList> PeerClient::Allocate(const v1::AllocateRequest& request) {
  return CallAndWait(&v1::Peer::Stub::AsyncAllocate, request);
}

absl::StatusOr<v1::AddressList> PeerClient::Claim(const v1::ClaimRequest& request) {
  return CallAndWait(&v1::Peer::Stub::AsyncClaim, request);
}

absl::StatusOr<v1::AddressList> PeerClient::Lookup(const v1::LookupRequest& request) {
  return Call(&v1::Peer::Stub::Lookup, request, deadlines_.query);
}

absl::Status PeerClient::CheckSpace(absl::string_view subnet) {
  v1::CheckSpaceRequest request;
  request.set_subnet(std::string(subnet));
  return Call(&v1::Peer::Stub::CheckSpace, request, deadlines_.query).status();
}

absl::StatusOr<v1::AddressList> PeerClient::Release(const v1::ReleaseRequest& request) {
  return CallAndWait(&v1::Peer::Stub::AsyncRelease, request, deadlines_.change, "the peer's disk");
}

absl::Status PeerClient::Disown(const v1::DisownRequest& request) {
  return Call(&v1::Peer::Stub::Disown, request, deadlines_.change).status();
}

absl::StatusOr<v1::AllocationList> PeerClient::ListAllocations() {
  return Call(&v1::Peer::Stub::ListAllocations, v1::ListAllocationsRequest(), deadlines_.query);
}

absl::Status PeerClient::AwaitRing() {
  return CallAndWait(&v1::Peer::Stub::AsyncAwaitRing, v1::AwaitRingRequest()).status();
}

absl::StatusOr<std::uint64_t> PeerClient::TakeOver(absl::string_view peer, bool force) {
  v1::TakeOverRequest request;
  request.set_peer(std::string(peer));
  request.set_force(force);
  ASSIGN_OR_RETURN(const v1::TakeOverReply reply, Call(&v1::Peer::Stub::TakeOver, request, deadlines_.change));
  return reply.address_count();
}

absl::Status PeerClient::GiveAway() {
  return Call(&v1::Peer::Stub::GiveAway, v1::GiveAwayRequest(), deadlines_.change).status();
}

absl::Status PeerClient::AddName(const v1::AddNameRequest& request) {
  return Call(&v1::Peer::Stub::AddName, request, deadlines_.change).status();
}

absl::Status PeerClient::RemoveNames(const v1::RemoveNamesRequest& request) {
  return Call(&v1::Peer::Stub::RemoveNames, request, deadlines_.change).status();
}

absl::StatusOr<v1::AddressList> PeerClient::LookupName(absl::string_view name) {
  v1::LookupNameRequest request;
  request.set_name(std::string(name));
  return Call(&v1::Peer::Stub::LookupName, request, deadlines_.query);
}

absl::StatusOr<v1::DnsInfo> PeerClient::GetDnsInfo() {
  return Call(&v1::Peer::Stub::GetDnsInfo, v1::GetDnsInfoRequest(), deadlines_.query);
}

absl::Status PeerClient::RemoveInterface(int index, absl::string_view name) {
  v1::RemoveInterfaceRequest request;
  request.set_index(index);
  request.set_name(std::string(name));
  return Call(&v1::Peer::Stub::RemoveInterface, request, deadlines_.query).status();
}

absl::StatusOr<v1::ContainerInfo> PeerClient::FindContainer(absl::string_view container) {
  v1::FindContainerRequest request;
  request.set_container(std::string(container));
  return Call(&v1::Peer::Stub::FindContainer, request, deadlines_.change);
}

absl::Status PeerClient::Reset() {
  return Call(&v1::Peer::Stub::Reset, v1::ResetRequest(), deadlines_.change).status();
}

absl::Status PeerClient::Stop() {
  const absl::Status status = Call(&v1::Peer::Stub::Stop, v1::StopRequest(), deadlines_.stop).status();
  return absl::IsUnavailable(status) && ConnectionEnded() ? absl::OkStatus() : status;
}

}  // namespace weave
