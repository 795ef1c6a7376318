// ApiService: the calls about addresses whose holders' interfaces others make.
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "peer/api_service.h"

namespace weave {
namespace {

// The subnet a call is about.
absl::StatusOr<Cidr> SubnetOf(const Allocator& allocator, const std::string& text) {
  if (text.empty()) return allocator.config().default_subnet;
  return Cidr::Parse(text);
}

absl::Status NoAllocator() {
  return absl::NotFoundError("this peer allocates no addresses: it was started without --ipalloc-range");
}

absl::StatusOr<ReleaseOperation> ToOperation(const v1::ReleaseRequest& request) {
  ReleaseOperation operation{request.holder(), std::nullopt};
  if (request.address().empty()) return operation;
  ASSIGN_OR_RETURN(operation.address, IpAddress::Parse(request.address()));
  return operation;
}

Upkeep ToUpkeep(v1::Upkeep upkeep) {
  switch (upkeep) {
    case v1::UPKEEP_DOCKER:
      return Upkeep::kDocker;
    case v1::UPKEEP_INTERFACE:
      return Upkeep::kInterface;
    default:
      return Upkeep::kHolder;
  }
}

v1::Upkeep FromUpkeep(Upkeep upkeep) {
  switch (upkeep) {
    case Upkeep::kDocker:
      return v1::UPKEEP_DOCKER;
    case Upkeep::kInterface:
      return v1::UPKEEP_INTERFACE;
    case Upkeep::kHolder:
      break;
  }
  return v1::UPKEEP_HOLDER;
}

}  // namespace

grpc::ServerUnaryReactor* ApiService::Allocate(grpc::CallbackServerContext*, const v1::AllocateRequest* request,
                                               v1::AddressList* list) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, list](const CallPtr& c) {
    const Allocator* allocator = hooks_.allocator();
    if (allocator == nullptr) return c->Finish(NoAllocator());
    const absl::StatusOr<Cidr> subnet = SubnetOf(*allocator, request->subnet());
    if (!subnet.ok()) return c->Finish(subnet.status());
    Submit(c, IpamRequest{AllocateOperation{request->holder(), *subnet, false, ToUpkeep(request->upkeep())}}, list);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Claim(grpc::CallbackServerContext*, const v1::ClaimRequest* request,
                                            v1::AddressList* list) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, list](const CallPtr& c) {
    const absl::StatusOr<Cidr> address = Cidr::Parse(request->address());
    if (!address.ok()) return c->Finish(address.status());
    Submit(c,
           IpamRequest{ClaimOperation{request->holder(), *address, false, request->no_error_on_unknown(),
                                      ToUpkeep(request->upkeep())}},
           list);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Lookup(grpc::CallbackServerContext*, const v1::LookupRequest* request,
                                             v1::AddressList* list) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, list](const CallPtr& c) {
    const Allocator* allocator = hooks_.allocator();
    if (allocator == nullptr) return c->Finish(NoAllocator());
    const absl::StatusOr<Cidr> subnet = SubnetOf(*allocator, request->subnet());
    if (!subnet.ok()) return c->Finish(subnet.status());
    for (const Cidr& address : allocator->Lookup(request->holder(), *subnet)) list->add_addresses(address.ToString());
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::CheckSpace(grpc::CallbackServerContext*, const v1::CheckSpaceRequest* request,
                                                 v1::CheckSpaceReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request](const CallPtr& c) {
    const Allocator* allocator = hooks_.allocator();
    if (allocator == nullptr) return c->Finish(NoAllocator());
    const absl::StatusOr<Cidr> subnet = SubnetOf(*allocator, request->subnet());
    if (!subnet.ok()) return c->Finish(subnet.status());
    if (!allocator->IsExhausted(*subnet)) return c->Finish(absl::OkStatus());
    c->Finish(absl::ResourceExhaustedError(
        absl::StrCat("no address of ", subnet->ToString(), " is free, on this peer or, as far as it knows, another")));
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Release(grpc::CallbackServerContext*, const v1::ReleaseRequest* request,
                                              v1::AddressList* list) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, list](const CallPtr& c) {
    absl::StatusOr<ReleaseOperation> operation = ToOperation(*request);
    if (!operation.ok()) return c->Finish(operation.status());
    Submit(c, IpamRequest{*std::move(operation)}, list);
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::ListAllocations(grpc::CallbackServerContext*, const v1::ListAllocationsRequest*,
                                                      v1::AllocationList* list) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, list](const CallPtr& c) {
    const Allocator* allocator = hooks_.allocator();
    if (allocator == nullptr) return c->Finish(NoAllocator());
    for (const auto& [key, allocation] : allocator->allocations()) {
      v1::AllocationList::Allocation& entry = *list->add_allocations();
      entry.set_holder(allocation.ident);
      for (const Cidr& address : allocation.addresses) entry.add_addresses(address.ToString());
      entry.set_upkeep(FromUpkeep(allocation.upkeep));
    }
    c->Finish(absl::OkStatus());
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::Disown(grpc::CallbackServerContext*, const v1::DisownRequest* request,
                                             v1::DisownReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request](const CallPtr& c) {
    DisownOperation disown;
    for (const std::string& text : request->addresses()) {
      const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
      if (!address.ok()) return c->Finish(address.status());
      disown.addresses.push_back(*address);
    }
    Ask(c, IpamRequest{std::move(disown)}, [](const Reply&) {});
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::AwaitRing(grpc::CallbackServerContext*, const v1::AwaitRingRequest*,
                                                v1::AwaitRingReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this](const CallPtr& c) { Ask(c, IpamRequest{AwaitRingOperation{}}, [](const Reply&) {}); });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::TakeOver(grpc::CallbackServerContext*, const v1::TakeOverRequest* request,
                                               v1::TakeOverReply* answer) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this, request, answer](const CallPtr& c) {
    Ask(c, IpamRequest{TakeOverOperation{request->peer(), request->force()}}, [answer](const Reply& reply) {
      answer->set_address_count(absl::Uint128Low64(reply.taken_over));  // of IPv4
    });
  });
  return reactor;
}

grpc::ServerUnaryReactor* ApiService::GiveAway(grpc::CallbackServerContext*, const v1::GiveAwayRequest*,
                                               v1::GiveAwayReply*) {
  auto [reactor, call] = Open();
  OnLoop(std::move(call), [this](const CallPtr& c) { Ask(c, IpamRequest{ShutdownOperation{}}, [](const Reply&) {}); });
  return reactor;
}

}  // namespace weave
