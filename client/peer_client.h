// The peer's API for other programs (`weave`, the plugins): one connection, each call with a deadline, errors as
// absl::Status. Above proto/weave/v1/peer.proto.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "weave/v1/peer.grpc.pb.h"

namespace weave {

// How long each call may take. The peer answers most from memory; joining a container waits for Docker and the kernel.
struct PeerDeadlines {
  Duration query = absl::Seconds(3);  // contract A1-07
  Duration change = absl::Seconds(30);
  Duration stop = absl::Seconds(2);
  Duration pulse = absl::Seconds(3);         // how often a peer that lets us wait is asked whether it lives
  Duration wait = absl::InfiniteDuration();  // for what other peers must give
};

// Calls that may wait for other peers (an address, the ring) have no deadline unless `wait` is set: they end when the
// peer answers, or no longer lives. Any thread, also several at once. Nothing is retried and a broken connection is not
// made anew: connect again.
//
// A status of the peer comes back as it is: the gRPC codes are absl's. Beside those:
//   DeadlineExceeded  no answer in time: "the peer (pid N) does not answer: ..."
//   Unavailable       the connection ended under the call: "the peer (pid N) closed the connection: ..."
class PeerClient {
 public:
  // Connects to the unix socket at `socket_path`; waits at most `deadlines.query` for a listener that does not accept.
  //   NotFound          there is no socket: no peer was started here
  //   Unavailable       nobody listens: a dead peer's socket
  //   PermissionDenied  the socket belongs to another user (it is root's)
  //   DeadlineExceeded  a listener that has long stopped accepting
  //   InvalidArgument   a path no unix socket can have
  static absl::StatusOr<PeerClient> Connect(absl::string_view socket_path, PeerDeadlines deadlines = {});

  PeerClient(PeerClient&& other) noexcept;
  PeerClient& operator=(PeerClient&&) = delete;
  ~PeerClient();

  // The process that listens, told by the kernel and so known even when it never answers. 0: in another pid namespace.
  pid_t server_pid() const { return server_pid_; }

  // The peer ended, or closed the connection: no further call will be answered.
  bool ConnectionEnded() const;

  absl::StatusOr<v1::PeerInfo> GetInfo();

  // The text of a status page (spec/control.md section 3). NotFound: unknown, or its part is off.
  absl::StatusOr<std::string> GetStatus(absl::string_view page);

  // The report as JSON, or with `format` as that template of Go's text/template prints it (spec/control.md section 4).
  //   InvalidArgument     `format` is no template
  //   FailedPrecondition  it does not suit the report
  //   ResourceExhausted   it is too long or too much work
  absl::StatusOr<std::string> GetReport(const std::optional<std::string>& format);

  absl::StatusOr<v1::Diagnosis> GetDiagnosis();

  // InvalidArgument, a line each, for peers that cannot be dialled; the others are dialled all the same.
  absl::Status ConnectTo(const std::vector<std::string>& peers, bool replace);
  absl::Status Forget(const std::vector<std::string>& peers);

  absl::StatusOr<v1::AddressList> Attach(const v1::AttachRequest& request);
  absl::StatusOr<v1::AddressList> Detach(const v1::DetachRequest& request);
  absl::StatusOr<v1::EndpointList> ListEndpoints(const v1::ListEndpointsRequest& request);
  absl::StatusOr<v1::AddressList> Expose(const v1::ExposeRequest& request);
  absl::StatusOr<v1::AddressList> Hide(const v1::HideRequest& request);

  // ---- addresses for holders whose interfaces others make (proto/weave/v1/peer.proto) ----
  absl::StatusOr<v1::AddressList> Allocate(const v1::AllocateRequest& request);
  absl::StatusOr<v1::AddressList> Claim(const v1::ClaimRequest& request);
  absl::StatusOr<v1::AddressList> Lookup(const v1::LookupRequest& request);
  absl::Status CheckSpace(absl::string_view subnet);
  absl::StatusOr<v1::AddressList> Release(const v1::ReleaseRequest& request);
  absl::StatusOr<v1::AllocationList> ListAllocations();
  absl::Status Disown(const v1::DisownRequest& request);
  absl::Status AwaitRing();
  // How many addresses were taken over.
  absl::StatusOr<std::uint64_t> TakeOver(absl::string_view peer, bool force);
  absl::Status GiveAway();

  // ---- names ----
  absl::Status AddName(const v1::AddNameRequest& request);
  absl::Status RemoveNames(const v1::RemoveNamesRequest& request);
  absl::StatusOr<v1::AddressList> LookupName(absl::string_view name);
  absl::StatusOr<v1::DnsInfo> GetDnsInfo();

  // Within the time of a query: who asks can do the same, though it takes longer.
  absl::Status RemoveInterface(int index, absl::string_view name);

  absl::StatusOr<v1::ContainerInfo> FindContainer(absl::string_view container);

  absl::Status Reset();

  // OK too when the connection ends instead of an answer: the peer was quicker with ending than with replying.
  absl::Status Stop();

 private:
  PeerClient(std::shared_ptr<grpc::Channel> channel, int socket, pid_t server_pid, PeerDeadlines deadlines);

  template <typename Request, typename Reply>
  absl::StatusOr<Reply> Call(grpc::Status (v1::Peer::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                             const Request& request, Duration deadline);
  // For up to `patience`, as long as the peer goes on answering GetInfo; then DeadlineExceeded, saying `what` is waited
  // for.
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> CallAndWait(std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (v1::Peer::Stub::*method)(
                                        grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
                                    const Request& request, Duration patience, absl::string_view what);
  // For what other peers must give.
  template <typename Request, typename Reply>
  absl::StatusOr<Reply> CallAndWait(std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (v1::Peer::Stub::*method)(
                                        grpc::ClientContext*, const Request&, grpc::CompletionQueue*),
                                    const Request& request) {
    return CallAndWait(method, request, deadlines_.wait, "other peers; 'weave status' says for what");
  }
  absl::Status ToStatus(const grpc::Status& status, Duration deadline) const;

  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Peer::Stub> stub_;
  int socket_ = -1;  // our own descriptor of the channel's connection: a channel made from one does not tell its state
  pid_t server_pid_ = 0;
  PeerDeadlines deadlines_;
};

}  // namespace weave
