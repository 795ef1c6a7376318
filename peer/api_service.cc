#include "peer/api_service.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "host/netlink.h"
#include "host/routes.h"
#include "peer/address_wish.h"
#include "peer/core/address_index.h"

namespace weave {
namespace {

// Docker answers within 3 s or not at all; two of its answers may be slow at once.
constexpr int kResolverCount = 2;
constexpr int kMaxAddressCount = 256;

constexpr std::size_t kShortIdSize = 12;  // of a container's id, as people are shown it

using Texts = google::protobuf::RepeatedPtrField<std::string>;

absl::StatusOr<std::vector<AddressWish>> ParseWishes(const Texts& texts) {
  if (texts.size() > kMaxAddressCount)
    return absl::InvalidArgumentError(absl::StrCat(texts.size(), " addresses given, want at most ", kMaxAddressCount));
  std::vector<AddressWish> wishes;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(AddressWish wish, ParseAddressWish(text));
    wishes.push_back(wish);
  }
  return wishes;
}

// Nothing: a text is no address, and the call has been told.
std::optional<std::vector<AddressWish>> WishesOf(ApiCall& call, const Texts& texts) {
  absl::StatusOr<std::vector<AddressWish>> wishes = ParseWishes(texts);
  if (wishes.ok()) return *std::move(wishes);
  call.Finish(wishes.status());
  return std::nullopt;
}

// An address that this host would reach by another route is attached all the same (contract A2-12).
std::vector<std::string> RouteWarnings(const std::vector<AddressWish>& wishes, const std::string& bridge) {
  std::vector<std::string> warnings;
  absl::StatusOr<Netlink> netlink = Netlink::Open();
  if (!netlink.ok()) return warnings;
  for (const AddressWish& wish : wishes) {
    const auto* address = std::get_if<Cidr>(&wish);
    if (address == nullptr) continue;
    absl::StatusOr<std::optional<RouteOverlap>> overlap = FindRouteTo(*netlink, address->address(), bridge);
    if (overlap.ok() && overlap->has_value())
      warnings.push_back(absl::StrCat("WARNING: ", address->ToString(), " overlaps with the route ",
                                      (*overlap)->ToString(), " of this host"));
  }
  return warnings;
}

}  // namespace

ApiService::ApiService(EventLoop& loop, CoreDriver& driver, ApiServiceOptions options, ApiHooks hooks)
    : loop_(loop),
      driver_(driver),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      resolvers_("resolver", kResolverCount),
      renderers_("report", 1) {}

std::pair<grpc::ServerUnaryReactor*, ApiService::CallPtr> ApiService::Open() {
  auto [reactor, call] = ApiCall::Make();
  const MutexLock lock(&mutex_);
  if (closed_) {
    call->Finish(absl::UnavailableError("the peer is stopping"));
  } else {
    std::erase_if(open_, [](const std::weak_ptr<ApiCall>& c) { return c.expired(); });
    open_.push_back(call);
  }
  return {reactor, std::move(call)};
}

void ApiService::Close() {
  std::vector<std::weak_ptr<ApiCall>> open;
  {
    const MutexLock lock(&mutex_);
    closed_ = true;
    open = std::exchange(open_, {});
  }
  for (const std::weak_ptr<ApiCall>& weak : open)
    if (const CallPtr call = weak.lock()) call->Finish(absl::UnavailableError("the peer is stopping"));
}

void ApiService::OnLoop(CallPtr call, absl::AnyInvocable<void(const CallPtr&)> step) {
  loop_.Post([call = std::move(call), step = std::move(step)]() mutable {
    if (!call->finished()) step(call);
  });
}

void ApiService::Resolve(CallPtr call, std::vector<std::string> containers, std::vector<AddressWish> wishes,
                         absl::AnyInvocable<void(const CallPtr&, Resolved)> then) {
  resolvers_.Submit([this, call = std::move(call), containers = std::move(containers), wishes = std::move(wishes),
                     then = std::move(then)]() mutable {
    Resolved resolved;
    for (const std::string& container : containers) {
      absl::StatusOr<Sandbox> sandbox = ResolveSandbox(options_.sandbox, container);
      if (!sandbox.ok()) return call->Finish(sandbox.status());
      resolved.sandboxes.push_back({sandbox->ident, sandbox->netns_path, sandbox->netns_inode});
      resolved.hostnames.push_back(sandbox->hostname);
    }
    resolved.warnings = RouteWarnings(wishes, options_.bridge);
    OnLoop(std::move(call), [then = std::move(then), resolved = std::move(resolved)](const CallPtr& c) mutable {
      then(c, std::move(resolved));
    });
  });
}

void ApiService::Submit(const CallPtr& call, ApiRequest request, v1::AddressList* list) {
  Ask(call, std::move(request), [list](const Reply& reply) {
    for (const Cidr& address : reply.addresses) list->add_addresses(address.ToString());
  });
}

void ApiService::Ask(const CallPtr& call, ApiRequest request, absl::AnyInvocable<void(const Reply&)> fill) {
  const RequestId id = driver_.Submit(std::move(request), [call, fill = std::move(fill)](const Reply& reply) mutable {
    if (call->finished()) return;
    fill(reply);
    call->Finish(reply.status);
  });
  call->OnGone([this, id] { loop_.Post([this, id] { driver_.Cancel(id); }); });
}

void ApiService::CheckAlive(std::string container, absl::AnyInvocable<void(bool alive)> done) {
  resolvers_.Submit([this, container = std::move(container), done = std::move(done)]() mutable {
    const absl::Status found = ResolveSandbox(options_.sandbox, container).status();
    const bool unknown =
        absl::IsUnavailable(found) || absl::IsDeadlineExceeded(found) || options_.sandbox.docker.address.empty();
    done(found.ok() || unknown);
  });
}

grpc::ServerUnaryReactor* ApiService::GetInfo(grpc::CallbackServerContext*, const v1::GetInfoRequest*,
                                              v1::PeerInfo* info) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, info](const CallPtr& c) {
    *info = hooks_.info();
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::GetDiagnosis(grpc::CallbackServerContext*, const v1::GetDiagnosisRequest*,
                                                   v1::Diagnosis* diagnosis) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, diagnosis](const CallPtr& c) {
    *diagnosis = hooks_.diagnosis();
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::GetStatus(grpc::CallbackServerContext*, const v1::GetStatusRequest* request,
                                                v1::StatusPage* page) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, page](const CallPtr& c) {
    absl::StatusOr<std::string> text = hooks_.status_page(request->page());
    const absl::Status status = text.status();
    if (status.ok()) page->set_text(*std::move(text));
    c->Finish(status);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::GetReport(grpc::CallbackServerContext*, const v1::GetReportRequest* request,
                                                v1::Report* reply) {
  auto [reactor, call] = Open();
  std::optional<std::string> format;
  if (request->has_format()) format = request->format();
  OnLoop(std::move(call), [this, reply, format = std::move(format)](const CallPtr& c) {
    absl::StatusOr<ReportView> view = hooks_.report();
    if (!view.ok()) return c->Finish(view.status());
    renderers_.Submit([this, c, reply, format, view = *std::move(view)] {
      absl::StatusOr<std::string> text = RenderReport(view, format);
      // Back to the loop: there alone a call is known not to have been finished by Close().
      OnLoop(c, [reply, text = std::move(text)](const CallPtr& rendered) mutable {
        if (!text.ok()) return rendered->Finish(text.status());
        reply->set_text(*std::move(text));
        rendered->Finish(absl::OkStatus());
      });
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Connect(grpc::CallbackServerContext*, const v1::ConnectRequest* request,
                                              v1::ConnectReply*) {
  auto [reactor, call] = Open();
  std::vector<std::string> peers(request->peers().begin(), request->peers().end());
  OnLoop(std::move(call), [this, peers = std::move(peers), replace = request->replace()](const CallPtr& c) mutable {
    hooks_.connect(std::move(peers), replace, [c](const std::vector<absl::Status>& errors) {
      if (errors.empty()) return c->Finish(absl::OkStatus());
      c->Finish(absl::InvalidArgumentError(absl::StrJoin(
          errors, "\n", [](std::string* out, const absl::Status& error) { absl::StrAppend(out, error.message()); })));
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Forget(grpc::CallbackServerContext*, const v1::ForgetRequest* request,
                                             v1::ForgetReply*) {
  auto [reactor, call] = Open();
  ForgetRequest forget{{request->peers().begin(), request->peers().end()}};
  OnLoop(std::move(call), [this, forget = std::move(forget)](const CallPtr& c) mutable {
    driver_.Submit(std::move(forget), [c](const Reply& reply) { c->Finish(reply.status); });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Attach(grpc::CallbackServerContext*, const v1::AttachRequest* request,
                                             v1::AddressList* list) {
  auto [reactor, call] = Open();
  std::optional<std::vector<AddressWish>> wishes = WishesOf(*call, request->addresses());
  if (!wishes.has_value()) return reactor;
  const bool multicast_route = !request->no_multicast_route();
  const bool with_dns = !request->without_dns();
  Resolve(
      std::move(call), {request->container()}, *wishes,
      [this, list, multicast_route, with_dns, wishes = *wishes](const CallPtr& c, Resolved resolved) {
        for (const std::string& warning : resolved.warnings) list->add_warnings(warning);
        // What Docker calls a host name may be none: the container is attached all the same.
        std::string& hostname = resolved.hostnames.front();
        if (!with_dns || !CheckHostname(hostname).ok()) hostname.clear();
        Submit(c, weave::AttachRequest{resolved.sandboxes.front(), wishes, multicast_route, std::move(hostname)}, list);
      });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Detach(grpc::CallbackServerContext*, const v1::DetachRequest* request,
                                             v1::AddressList* list) {
  auto [reactor, call] = Open();
  std::optional<std::vector<AddressWish>> wishes = WishesOf(*call, request->addresses());
  if (!wishes.has_value()) return reactor;
  Resolve(std::move(call), {request->container()}, {},
          [this, list, wishes = *wishes](const CallPtr& c, const Resolved& resolved) {
            Submit(c, weave::DetachRequest{resolved.sandboxes.front(), wishes}, list);
          });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::ListEndpoints(grpc::CallbackServerContext*,
                                                    const v1::ListEndpointsRequest* request, v1::EndpointList* list) {
  auto [reactor, call] = Open();
  std::vector<std::string> containers(request->containers().begin(), request->containers().end());
  // The host's own row is no container to look for (contract A2-25).
  const auto host = std::remove(containers.begin(), containers.end(), kExposeName);
  EndpointQuery query{containers.empty(), containers.empty() || host != containers.end(), {}, {}};
  containers.erase(host, containers.end());
  resolvers_.Submit(
      [this, call = std::move(call), containers = std::move(containers), query = std::move(query), list]() mutable {
        absl::StatusOr<std::vector<BridgeEndpoint>> found = ListBridgeEndpoints(options_.bridge, options_.sandbox);
        if (found.ok()) query.found = *std::move(found);  // else those that the core knows, at least
        for (const std::string& container : containers) {
          const auto has_id = [&](const BridgeEndpoint& endpoint) {
            return container.size() >= kShortIdSize && absl::StartsWith(endpoint.id, container);
          };
          const auto known = std::find_if(query.found.begin(), query.found.end(), has_id);
          if (known != query.found.end()) {
            query.netns_inodes.push_back(known->netns_inode);
            continue;
          }
          absl::StatusOr<Sandbox> sandbox = ResolveSandbox(options_.sandbox, container);
          if (!sandbox.ok()) return call->Finish(sandbox.status());
          query.netns_inodes.push_back(sandbox->netns_inode);
        }
        OnLoop(std::move(call), [this, list, query = std::move(query)](const CallPtr& c) {
          FillEndpoints(hooks_.snapshot(), query, list);
          c->Finish(absl::OkStatus());
        });
      });
  return reactor;
}

void ApiService::FillEndpoints(const PeerSnapshot& snapshot, const EndpointQuery& query, v1::EndpointList* list) const {
  if (query.with_host && !snapshot.exposures.empty()) {
    v1::EndpointList::Endpoint* host = list->add_endpoints();
    host->set_id(kExposeName);
    host->set_mac(hooks_.bridge_mac());
    for (const ExposureRecord& exposure : snapshot.exposures) host->add_addresses(exposure.cidr.ToString());
  }
  const auto add = [&](std::uint64_t netns_inode, const std::string& id, const MacAddress& mac,
                       const std::vector<Cidr>& addresses) {
    const std::vector<std::uint64_t>& wanted = query.netns_inodes;
    if (!query.all && std::find(wanted.begin(), wanted.end(), netns_inode) == wanted.end()) return;
    v1::EndpointList::Endpoint* endpoint = list->add_endpoints();
    endpoint->set_id(id);
    endpoint->set_mac(mac.ToString());
    for (const Cidr& address : addresses) endpoint->add_addresses(address.ToString());
  };
  std::set<std::string> attached;
  for (const EndpointTable::View& view : snapshot.endpoints) {
    attached.insert(view.link->host_ifname);
    add(view.record.sandbox.netns_inode, view.record.sandbox.ident, view.link->mac, view.record.addresses);
  }
  for (const BridgeEndpoint& endpoint : query.found)
    if (!attached.contains(endpoint.host_ifname) && !endpoint.addresses.empty())
      add(endpoint.netns_inode, endpoint.id, endpoint.mac, endpoint.addresses);
}

grpc::ServerUnaryReactor* ApiService::Expose(grpc::CallbackServerContext*, const v1::ExposeRequest* request,
                                             v1::AddressList* list) {
  auto [reactor, call] = Open();
  std::optional<std::vector<AddressWish>> wishes = WishesOf(*call, request->addresses());
  if (!wishes.has_value()) return reactor;
  OnLoop(
      std::move(call),
      [this, list, expose = weave::ExposeRequest{*std::move(wishes), !request->without_masquerade(), request->name()}](
          const CallPtr& c) { Submit(c, expose, list); });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Hide(grpc::CallbackServerContext*, const v1::HideRequest* request,
                                           v1::AddressList* list) {
  auto [reactor, call] = Open();
  std::optional<std::vector<AddressWish>> wishes = WishesOf(*call, request->addresses());
  if (!wishes.has_value()) return reactor;
  OnLoop(std::move(call),
         [this, list, hide = weave::HideRequest{*std::move(wishes)}](const CallPtr& c) { Submit(c, hide, list); });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::RemoveInterface(grpc::CallbackServerContext*,
                                                      const v1::RemoveInterfaceRequest* request,
                                                      v1::RemoveInterfaceReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request](const CallPtr& c) {
    hooks_.remove_interface(request->index(), request->name(), [c](const absl::Status& status) { c->Finish(status); });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Reset(grpc::CallbackServerContext*, const v1::ResetRequest*, v1::ResetReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this](const CallPtr& c) {
    driver_.Submit(weave::ResetRequest{}, [c](const Reply& reply) { c->Finish(reply.status); });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Stop(grpc::CallbackServerContext*, const v1::StopRequest*, v1::StopReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this](const CallPtr& c) {
    c->Finish(absl::OkStatus());
    hooks_.stop();
  });
  return reactor;
}

}  // namespace weave
