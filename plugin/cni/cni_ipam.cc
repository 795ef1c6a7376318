#include "plugin/cni/cni_ipam.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "plugin/cni/cni_delegate.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_result.h"

namespace weave {
namespace {

bool Delegates(const CniContext& context) { return !context.config.ipam_type.empty(); }

std::string SubnetText(const PeerIpamConfig& ipam) { return ipam.subnet ? ipam.subnet->ToString() : ""; }

absl::StatusOr<std::vector<std::string>> LookUp(PeerClient& peer, const std::string& holder,
                                                const std::string& subnet) {
  v1::LookupRequest request;
  request.set_holder(holder);
  request.set_subnet(subnet);
  ASSIGN_OR_RETURN(const v1::AddressList list, peer.Lookup(request));
  return std::vector<std::string>(list.addresses().begin(), list.addresses().end());
}

absl::StatusOr<bool> IsHeldBy(PeerClient& peer, const std::string& holder, const Cidr& address) {
  ASSIGN_OR_RETURN(const std::vector<std::string> known, LookUp(peer, holder, address.Network().ToString()));
  return std::find(known.begin(), known.end(), address.ToString()) != known.end();
}

absl::StatusOr<std::string> Allocate(PeerClient& peer, const CniContext& context, const std::string& subnet) {
  v1::AllocateRequest request;
  request.set_holder(context.holder());
  request.set_subnet(subnet);
  request.set_upkeep(context.upkeep);
  ASSIGN_OR_RETURN(const v1::AddressList list, peer.Allocate(request));
  if (list.addresses_size() != 1) return absl::InternalError("the peer gave no address");
  return list.addresses(0);
}

// True: something was freed.
absl::StatusOr<bool> Free(PeerClient& peer, const std::string& holder) {
  v1::ReleaseRequest request;
  request.set_holder(holder);
  const absl::Status status = peer.Release(request).status();
  if (absl::IsNotFound(status)) return false;
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<std::string> AddressFromPeer(CniContext& context, const PeerIpamConfig& ipam, bool adopted) {
  ASSIGN_OR_RETURN(PeerClient* const peer, PeerOf(context));
  if (adopted) {
    ASSIGN_OR_RETURN(const std::vector<std::string> former, LookUp(*peer, context.call.container_id, SubnetText(ipam)));
    if (!former.empty()) return former.front();
  }
  return Allocate(*peer, context, SubnetText(ipam));
}

absl::StatusOr<v1::CniResult> AcquireFromPeer(CniContext& context, bool adopted) {
  ASSIGN_OR_RETURN(const PeerIpamConfig ipam, ParsePeerIpam(context.config));
  const absl::StatusOr<std::string> address = AddressFromPeer(context, ipam, adopted);
  if (!address.ok()) {
    const CniErrorParts parts = PartsOf(address.status());
    return CniFailure(parts.code, absl::StrCat("unable to allocate IP address: ", parts.message), parts.details);
  }
  v1::CniResult result;
  v1::CniIp& ip = *result.add_ips();
  ip.set_address(*address);
  if (ipam.gateway) ip.set_gateway(ipam.gateway->ToString());
  for (const EndpointRoute& route : ipam.routes) {
    v1::CniRoute& entry = *result.add_routes();
    entry.set_dst(route.destination.ToString());
    if (route.gateway) entry.set_gw(route.gateway->ToString());
  }
  return result;
}

absl::Status CheckDelegated(const v1::CniResult& result, const std::string& type) {
  const auto useless = [&](absl::string_view why) {
    return CniFailure(CniCode::kFailed, absl::StrCat("ipam plugin ", type, " ", why));
  };
  if (result.ips().empty()) return useless("gave no address");
  for (const v1::CniIp& ip : result.ips()) {
    const absl::StatusOr<Cidr> address = Cidr::Parse(ip.address());
    if (!address.ok() || !address->address().IsV4())
      return useless(absl::StrCat("gave \"", ip.address(), "\": only IPv4 addresses are supported"));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::CniResult> AcquireFromPlugin(CniContext& context) {
  absl::StatusOr<std::string> output = RunDelegate(context, CniCommand::kAdd);
  absl::StatusOr<v1::CniResult> result =
      output.ok() ? ParseCniResult(*output) : absl::StatusOr<v1::CniResult>(output.status());
  const absl::Status status = result.ok() ? CheckDelegated(*result, context.config.ipam_type) : result.status();
  if (status.ok()) return result;
  // SPEC.md section 4: a plugin that fails is told to clean up.
  if (absl::StatusOr<std::string> undone = RunDelegate(context, CniCommand::kDel); !undone.ok())
    context.err << "weave-cni: " << undone.status().message() << "\n";
  return status;
}

}  // namespace

absl::StatusOr<v1::CniResult> AcquireAddresses(CniContext& context, bool adopted) {
  return Delegates(context) ? AcquireFromPlugin(context) : AcquireFromPeer(context, adopted);
}

absl::Status ReleaseAddresses(CniContext& context) {
  if (Delegates(context)) return RunDelegate(context, CniCommand::kDel).status();
  ASSIGN_OR_RETURN(PeerClient* const peer, PeerOf(context));
  std::vector<std::string> holders = {context.holder()};
  if (context.config.name.empty()) {  // whatever the network was called when the address was given
    ASSIGN_OR_RETURN(const v1::AllocationList list, peer->ListAllocations());
    for (const v1::AllocationList::Allocation& allocation : list.allocations()) {
      const std::optional<NetworkAttachment> owner = NetworkAttachment::Parse(allocation.holder());
      if (owner && owner->container_id == context.call.container_id && owner->interface == context.call.interface)
        holders.push_back(allocation.holder());
    }
  }
  bool freed = false;
  for (const std::string& holder : holders) {
    ASSIGN_OR_RETURN(const bool some, Free(*peer, holder));
    freed = freed || some;
  }
  return freed ? absl::OkStatus() : Free(*peer, context.call.container_id).status();
}

absl::Status CheckAddresses(CniContext& context, const std::vector<Cidr>& addresses) {
  if (Delegates(context)) return RunDelegate(context, CniCommand::kCheck).status();
  ASSIGN_OR_RETURN(PeerClient* const peer, PeerOf(context));
  for (const Cidr& address : addresses) {
    bool held = false;
    for (const std::string& holder : {context.holder(), context.call.container_id}) {
      ASSIGN_OR_RETURN(const bool by_this, IsHeldBy(*peer, holder, address));
      held = held || by_this;
    }
    if (!held)
      return CniFailure(CniCode::kNotAsMade, absl::StrCat("address ", address.ToString(), " is not that of ",
                                                          context.holder(), " at the peer"));
  }
  return absl::OkStatus();
}

absl::Status ConfirmAddresses(CniContext& context, const std::vector<Cidr>& addresses) {
  if (Delegates(context)) return absl::OkStatus();
  ASSIGN_OR_RETURN(PeerClient* const peer, PeerOf(context));
  for (const Cidr& address : addresses) {
    ASSIGN_OR_RETURN(const bool held, IsHeldBy(*peer, context.holder(), address));
    if (!held)
      return CniFailure(CniCode::kTryAgainLater,
                        absl::StrCat("address ", address.ToString(), " was given up before its interface was made"));
  }
  return absl::OkStatus();
}

absl::Status CollectAddresses(CniContext& context) {
  if (Delegates(context)) return RunDelegate(context, CniCommand::kGc).status();
  ASSIGN_OR_RETURN(PeerClient* const peer, PeerOf(context));
  ASSIGN_OR_RETURN(const v1::AllocationList list, peer->ListAllocations());
  const std::vector<NetworkAttachment>& valid = *context.config.valid_attachments;
  std::vector<std::string> complaints;
  for (const v1::AllocationList::Allocation& allocation : list.allocations()) {
    const std::optional<NetworkAttachment> owner = NetworkAttachment::Parse(allocation.holder());
    if (!owner || owner->network != context.config.name) continue;
    if (std::find(valid.begin(), valid.end(), *owner) != valid.end()) continue;
    if (const absl::Status freed = Free(*peer, allocation.holder()).status(); !freed.ok())
      complaints.push_back(absl::StrCat(allocation.holder(), ": ", freed.message()));
  }
  if (complaints.empty()) return absl::OkStatus();
  return CniFailure(CniCode::kFailed, "cannot free all addresses", absl::StrJoin(complaints, "; "));
}

absl::Status CheckAddressesReady(CniContext& context) {
  if (Delegates(context)) return WithCode(RunDelegate(context, CniCommand::kStatus).status(), CniCode::kUnavailable);
  ASSIGN_OR_RETURN(const PeerIpamConfig ipam, ParsePeerIpam(context.config));
  absl::StatusOr<PeerClient*> peer = PeerOf(context);
  if (!peer.ok()) return WithCode(peer.status(), CniCode::kUnavailable);
  const absl::StatusOr<v1::PeerInfo> info = (*peer)->GetInfo();
  if (!info.ok()) return WithCode(info.status(), CniCode::kUnavailable);
  if (!info->ready())
    return CniFailure(CniCode::kUnavailable, "the weave peer of this host is not ready", info->not_ready_reason());
  return WithCode((*peer)->CheckSpace(SubnetText(ipam)), CniCode::kUnavailable);
}

}  // namespace weave
