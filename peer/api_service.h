// The gRPC API of proto/weave/v1/peer.proto: turns messages into requests to the core and answers back.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "host/sandbox.h"
#include "io/event_loop.h"
#include "io/mutex.h"
#include "io/worker_pool.h"
#include "peer/api_call.h"
#include "peer/bridge_endpoints.h"
#include "peer/core_driver.h"
#include "peer/report.h"
#include "weave/v1/peer.grpc.pb.h"

namespace weave {

// What the service asks of the rest of the shell; all called on the loop.
struct ApiHooks {
  std::function<v1::PeerInfo()> info;
  std::function<v1::Diagnosis()> diagnosis;
  std::function<PeerSnapshot()> snapshot;
  std::function<std::string()> bridge_mac;
  std::function<const Allocator*()> allocator = [] { return nullptr; };  // null: there is none
  std::function<absl::StatusOr<std::string>(const std::string& page)> status_page;
  std::function<void()> stop;
  // Called on the loop too, but made into text elsewhere.
  std::function<absl::StatusOr<ReportView>()> report = [] {
    return absl::UnavailableError("this peer gives no reports");
  };
  std::function<const NameRegistry*()> names = [] { return nullptr; };  // null: there are none
  std::function<SocketAddress()> dns_address = nullptr;                 // where they are served
  // As ControlHooks::connect (peer/control_api.h).
  std::function<void(std::vector<std::string> peers, bool replace,
                     absl::AnyInvocable<void(std::vector<absl::Status> errors)> done)>
      connect;
  // As LinkRemover::Remove.
  std::function<void(int link_index, std::string name, absl::AnyInvocable<void(const absl::Status&)> done)>
      remove_interface;
};

struct ApiServiceOptions {
  SandboxOptions sandbox;
  std::string bridge;  // whose routes do not count as collisions
};

// gRPC calls it on its own threads; it posts to the loop, and resolves containers in a worker. Outlives the server,
// which can only shut down after Close().
class ApiService final : public v1::Peer::CallbackService {
 public:
  ApiService(EventLoop& loop, CoreDriver& driver, ApiServiceOptions options, ApiHooks hooks);

  // The loop has stopped for good: answers every call that is open or comes later with Unavailable.
  void Close();

  // Whether `container` runs, asked of Docker in a worker; `done` is called there. Who cannot be asked about counts as
  // alive.
  void CheckAlive(std::string container, absl::AnyInvocable<void(bool alive)> done);

  grpc::ServerUnaryReactor* GetInfo(grpc::CallbackServerContext*, const v1::GetInfoRequest*, v1::PeerInfo*) override;
  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext*, const v1::GetStatusRequest*,
                                      v1::StatusPage*) override;
  grpc::ServerUnaryReactor* GetReport(grpc::CallbackServerContext*, const v1::GetReportRequest*, v1::Report*) override;
  grpc::ServerUnaryReactor* GetDiagnosis(grpc::CallbackServerContext*, const v1::GetDiagnosisRequest*,
                                         v1::Diagnosis*) override;
  grpc::ServerUnaryReactor* Connect(grpc::CallbackServerContext*, const v1::ConnectRequest*,
                                    v1::ConnectReply*) override;
  grpc::ServerUnaryReactor* Forget(grpc::CallbackServerContext*, const v1::ForgetRequest*, v1::ForgetReply*) override;
  grpc::ServerUnaryReactor* Attach(grpc::CallbackServerContext*, const v1::AttachRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* Detach(grpc::CallbackServerContext*, const v1::DetachRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* ListEndpoints(grpc::CallbackServerContext*, const v1::ListEndpointsRequest*,
                                          v1::EndpointList*) override;
  grpc::ServerUnaryReactor* Expose(grpc::CallbackServerContext*, const v1::ExposeRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* Hide(grpc::CallbackServerContext*, const v1::HideRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* Allocate(grpc::CallbackServerContext*, const v1::AllocateRequest*,
                                     v1::AddressList*) override;
  grpc::ServerUnaryReactor* Claim(grpc::CallbackServerContext*, const v1::ClaimRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* Lookup(grpc::CallbackServerContext*, const v1::LookupRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* CheckSpace(grpc::CallbackServerContext*, const v1::CheckSpaceRequest*,
                                       v1::CheckSpaceReply*) override;
  grpc::ServerUnaryReactor* Release(grpc::CallbackServerContext*, const v1::ReleaseRequest*, v1::AddressList*) override;
  grpc::ServerUnaryReactor* ListAllocations(grpc::CallbackServerContext*, const v1::ListAllocationsRequest*,
                                            v1::AllocationList*) override;
  grpc::ServerUnaryReactor* Disown(grpc::CallbackServerContext*, const v1::DisownRequest*, v1::DisownReply*) override;
  grpc::ServerUnaryReactor* AwaitRing(grpc::CallbackServerContext*, const v1::AwaitRingRequest*,
                                      v1::AwaitRingReply*) override;
  grpc::ServerUnaryReactor* TakeOver(grpc::CallbackServerContext*, const v1::TakeOverRequest*,
                                     v1::TakeOverReply*) override;
  grpc::ServerUnaryReactor* GiveAway(grpc::CallbackServerContext*, const v1::GiveAwayRequest*,
                                     v1::GiveAwayReply*) override;
  grpc::ServerUnaryReactor* AddName(grpc::CallbackServerContext*, const v1::AddNameRequest*,
                                    v1::AddNameReply*) override;
  grpc::ServerUnaryReactor* RemoveNames(grpc::CallbackServerContext*, const v1::RemoveNamesRequest*,
                                        v1::RemoveNamesReply*) override;
  grpc::ServerUnaryReactor* LookupName(grpc::CallbackServerContext*, const v1::LookupNameRequest*,
                                       v1::AddressList*) override;
  grpc::ServerUnaryReactor* GetDnsInfo(grpc::CallbackServerContext*, const v1::GetDnsInfoRequest*,
                                       v1::DnsInfo*) override;
  grpc::ServerUnaryReactor* RemoveInterface(grpc::CallbackServerContext*, const v1::RemoveInterfaceRequest*,
                                            v1::RemoveInterfaceReply*) override;
  grpc::ServerUnaryReactor* FindContainer(grpc::CallbackServerContext*, const v1::FindContainerRequest*,
                                          v1::ContainerInfo*) override;
  grpc::ServerUnaryReactor* Reset(grpc::CallbackServerContext*, const v1::ResetRequest*, v1::ResetReply*) override;
  grpc::ServerUnaryReactor* Stop(grpc::CallbackServerContext*, const v1::StopRequest*, v1::StopReply*) override;

 private:
  using CallPtr = std::shared_ptr<ApiCall>;
  // What a worker found out about a call's containers and addresses.
  struct Resolved {
    std::vector<SandboxRef> sandboxes;
    std::vector<std::string> hostnames;  // of each; empty: none
    std::vector<std::string> warnings;
  };

  struct EndpointQuery {
    bool all = false;
    bool with_host = false;
    std::vector<std::uint64_t> netns_inodes;  // wanted ones, unless all are
    std::vector<BridgeEndpoint> found;
  };

  // A call that Close() will know.
  std::pair<grpc::ServerUnaryReactor*, CallPtr> Open();
  // Runs `step` on the loop unless the call was finished meanwhile.
  void OnLoop(CallPtr call, absl::AnyInvocable<void(const CallPtr&)> step);
  // Resolves containers in a worker, then runs `then` on the loop; a failure finishes the call.
  void Resolve(CallPtr call, std::vector<std::string> containers, std::vector<AddressWish> wishes,
               absl::AnyInvocable<void(const CallPtr&, Resolved)> then);
  // On the loop: asks the core; cancels when the caller goes; fills `list`.
  void Submit(const CallPtr& call, ApiRequest request, v1::AddressList* list);
  // The same for any reply; `fill` is called before the call is finished, unless it was.
  void Ask(const CallPtr& call, ApiRequest request, absl::AnyInvocable<void(const Reply&)> fill);
  // The host's own addresses, if asked for, and endpoints: those that the core knows, and others in the bridge.
  void FillEndpoints(const PeerSnapshot& snapshot, const EndpointQuery& query, v1::EndpointList* list) const;

  EventLoop& loop_;
  CoreDriver& driver_;
  const ApiServiceOptions options_;
  const ApiHooks hooks_;

  Mutex mutex_;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::weak_ptr<ApiCall>> open_ ABSL_GUARDED_BY(mutex_);
  WorkerPool resolvers_;
  WorkerPool renderers_;  // of reports, which must not wait for a resolver that waits for Docker
};

}  // namespace weave
