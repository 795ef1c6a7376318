// ApiService: the calls about names.
#include <utility>

#include "absl/strings/str_cat.h"
#include "peer/api_service.h"

namespace weave {
namespace {

absl::Status NoNames() { return absl::NotFoundError("this peer serves no names: it was started with --no-dns"); }

// What a query for `name` would look for: `web` is `web.weave.local.` as well.
std::string WithinDomain(const NameRegistry& names, const std::string& name) {
  const std::string full = FullyQualified(name);
  return IsWithin(full, names.domain()) ? full : absl::StrCat(full, names.domain());
}

}  // namespace

grpc::ServerUnaryReactor* ApiService::AddName(grpc::CallbackServerContext*, const v1::AddNameRequest* request,
                                              v1::AddNameReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request](const CallPtr& c) {
    const absl::StatusOr<IpAddress> address = IpAddress::Parse(request->address());
    if (!address.ok()) return c->Finish(address.status());
    Ask(c, weave::AddNameRequest{request->holder(), *address, request->name()}, [](const Reply&) {});
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::RemoveNames(grpc::CallbackServerContext*, const v1::RemoveNamesRequest* request,
                                                  v1::RemoveNamesReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request](const CallPtr& c) {
    weave::RemoveNamesRequest remove;
    if (!request->holder().empty()) remove.holder = request->holder();
    if (!request->name().empty()) remove.hostname = request->name();
    if (!request->address().empty()) {
      const absl::StatusOr<IpAddress> address = IpAddress::Parse(request->address());
      if (!address.ok()) return c->Finish(address.status());
      remove.address = *address;
    }
    Ask(c, std::move(remove), [](const Reply&) {});
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::LookupName(grpc::CallbackServerContext*, const v1::LookupNameRequest* request,
                                                 v1::AddressList* list) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, list](const CallPtr& c) {
    const NameRegistry* names = hooks_.names();
    if (names == nullptr) return c->Finish(NoNames());
    for (const std::uint32_t address : names->Lookup(FoldName(WithinDomain(*names, request->name()))))
      list->add_addresses(IpAddress::V4(address).ToString());
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::GetDnsInfo(grpc::CallbackServerContext*, const v1::GetDnsInfoRequest*,
                                                 v1::DnsInfo* info) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, info](const CallPtr& c) {
    const NameRegistry* names = hooks_.names();
    if (names == nullptr) return c->Finish(NoNames());
    const SocketAddress address = hooks_.dns_address();
    info->set_domain(names->domain());
    info->set_listen_address(address.ip.ToString());
    info->set_port(address.port);
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::FindContainer(grpc::CallbackServerContext*,
                                                    const v1::FindContainerRequest* request, v1::ContainerInfo* info) {
  auto [reactor, call] = Open();
  Resolve(std::move(call), {request->container()}, {}, [this, info](const CallPtr& c, const Resolved& resolved) {
    info->set_id(resolved.sandboxes.front().ident);
    info->set_hostname(resolved.hostnames.front());
    for (const EndpointTable::View& view : hooks_.snapshot().endpoints)
      if (view.record.sandbox.netns_inode == resolved.sandboxes.front().netns_inode)
        for (const Cidr& address : view.record.addresses) info->add_addresses(address.ToString());
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

}  // namespace weave
