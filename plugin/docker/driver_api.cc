#include "plugin/docker/driver_api.h"

#include <atomic>
#include <functional>
#include <utility>
#include <variant>

#include "absl/strings/escaping.h"
#include "google/protobuf/stubs/common.h"

#include "base/status.h"
#include "plugin/docker/json_codec.h"
#include "proto/json.h"
#include "weave/v1/libnetwork.pb.h"

namespace weave {
namespace {

namespace pb = v1::libnetwork;

HttpResponse Answer(const google::protobuf::Message& message) { return {200, "", ToJson(message)}; }
HttpResponse Done() { return Answer(pb::Empty()); }

// Texts of programs that are not ours may be no UTF-8, which JSON cannot carry.
bool IsUtf8(absl::string_view text) {
  return google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
}

HttpResponse Failed(const absl::Status& status) {
  pb::Error error;
  error.set_text(IsUtf8(status.message()) ? std::string(status.message()) : absl::CHexEscape(status.message()));
  return {500, "", ToJson(error)};
}

HttpResponse AnswerOf(const absl::Status& status) { return status.ok() ? Done() : Failed(status); }

template <typename Reply>
HttpResponse AnswerOf(const absl::StatusOr<Reply>& reply) {
  return reply.ok() ? Answer(*reply) : Failed(reply.status());
}

// A request whose body nobody reads.
void AddConstant(HttpRouter& router, const char* path, HttpResponse answer) {
  router.Add("POST", path, [answer = std::move(answer)](HttpCall call) { call.reply.Send(answer); });
}

// A request that is decoded here, on the server's thread, and answered by `work` on a thread of `pool`.
template <typename Request>
void Add(HttpRouter& router, const char* path, WorkerPool* pool, std::function<HttpResponse(const Request&)> work) {
  router.Add("POST", path, [pool, work = std::move(work)](HttpCall call) {
    Request request;
    if (!ParseJson(call.request.body, request).ok())
      return call.reply.Send(HttpError(400, "Could not decode JSON encoded payload"));
    pool->Submit(
        [work, request = std::move(request), reply = std::move(call.reply)]() mutable { reply.Send(work(request)); });
  });
}

// An address that nobody waits for any more when it comes would never be released: it goes back at once.
void AddRequestAddress(HttpRouter& router, const DriverApi& api) {
  router.Add("POST", "/IpamDriver.RequestAddress", [ipam = api.ipam, pool = api.waiting](HttpCall call) {
    pb::AddressRequest request;
    if (!ParseJson(call.request.body, request).ok())
      return call.reply.Send(HttpError(400, "Could not decode JSON encoded payload"));
    auto gone = std::make_shared<std::atomic<bool>>(false);
    call.reply.OnGone([gone] { *gone = true; });
    pool->Submit([ipam, gone, request = std::move(request), reply = std::move(call.reply)]() mutable {
      if (*gone) return reply.Send(Failed(absl::CancelledError("nobody waits for the answer")));
      const absl::StatusOr<pb::RequestAddressReply> answer = ipam->RequestAddress(request);
      if (*gone && answer.ok()) {
        request.set_address(answer->address().substr(0, answer->address().find('/')));
        (void)ipam->ReleaseAddress(request);
      }
      reply.Send(AnswerOf(answer));
    });
  });
}

void AddNetworkDriver(HttpRouter& router, const DriverApi& api) {
  NetworkDriver* driver = api.network;
  pb::CapabilitiesReply capabilities;
  capabilities.set_scope(api.global_scope ? "global" : "local");
  AddConstant(router, "/NetworkDriver.GetCapabilities", Answer(capabilities));
  Add<pb::NetworkRequest>(router, "/NetworkDriver.CreateNetwork", api.quick,
                          [driver](const pb::NetworkRequest& r) { return AnswerOf(driver->CreateNetwork(r)); });
  Add<pb::NetworkRequest>(router, "/NetworkDriver.DeleteNetwork", api.quick,
                          [driver](const pb::NetworkRequest& r) { return AnswerOf(driver->DeleteNetwork(r)); });
  Add<pb::AllocateNetworkRequest>(router, "/NetworkDriver.AllocateNetwork", api.quick,
                                  [](const pb::AllocateNetworkRequest& r) {
                                    pb::AllocateNetworkReply reply;
                                    *reply.mutable_options() = r.options();
                                    return Answer(reply);
                                  });
  Add<pb::NetworkRequest>(router, "/NetworkDriver.FreeNetwork", api.quick, [](const pb::NetworkRequest&) {
    return HttpResponse{200, "", "null\n"};
  });
  Add<pb::EndpointRequest>(router, "/NetworkDriver.CreateEndpoint", api.quick,
                           [driver](const pb::EndpointRequest& r) { return AnswerOf(driver->CreateEndpoint(r)); });
  Add<pb::EndpointRequest>(router, "/NetworkDriver.DeleteEndpoint", api.quick,
                           [driver](const pb::EndpointRequest& r) { return AnswerOf(driver->DeleteEndpoint(r)); });
  Add<pb::EndpointRequest>(router, "/NetworkDriver.EndpointOperInfo", api.quick,
                           [](const pb::EndpointRequest&) { return Answer(pb::EndpointInfoReply()); });
  Add<pb::EndpointRequest>(router, "/NetworkDriver.Join", api.quick, [driver](const pb::EndpointRequest& r) {
    const absl::StatusOr<NetworkDriver::Join> join = driver->JoinEndpoint(r);
    if (!join.ok()) return Failed(join.status());
    return std::visit([](const auto& reply) { return Answer(reply); }, *join);
  });
  Add<pb::EndpointRequest>(router, "/NetworkDriver.Leave", api.quick,
                           [](const pb::EndpointRequest&) { return Done(); });
}

void AddIpamDriver(HttpRouter& router, const DriverApi& api) {
  IpamDriver* driver = api.ipam;
  AddConstant(router, "/IpamDriver.GetCapabilities", Answer(pb::IpamCapabilitiesReply()));
  pb::AddressSpacesReply spaces;
  spaces.set_local("weavelocal");
  spaces.set_global("weaveglobal");
  AddConstant(router, "/IpamDriver.GetDefaultAddressSpaces", Answer(spaces));
  Add<pb::RequestPoolRequest>(router, "/IpamDriver.RequestPool", api.quick,
                              [driver](const pb::RequestPoolRequest& r) { return AnswerOf(driver->RequestPool(r)); });
  Add<pb::AddressRequest>(router, "/IpamDriver.ReleasePool", api.quick,
                          [driver](const pb::AddressRequest& r) { return AnswerOf(driver->ReleasePool(r)); });
  AddRequestAddress(router, api);
  Add<pb::AddressRequest>(router, "/IpamDriver.ReleaseAddress", api.quick,
                          [driver](const pb::AddressRequest& r) { return AnswerOf(driver->ReleaseAddress(r)); });
}

}  // namespace

std::shared_ptr<const HttpRouter> MakeDriverRouter(const DriverApi& api) {
  auto router = std::make_shared<HttpRouter>();
  pb::ActivateReply activate;
  activate.add_implements("NetworkDriver");
  if (api.ipam != nullptr) activate.add_implements("IpamDriver");
  AddConstant(*router, "/Plugin.Activate", Answer(activate));
  AddNetworkDriver(*router, api);
  if (api.ipam != nullptr) AddIpamDriver(*router, api);
  return router;
}

}  // namespace weave
