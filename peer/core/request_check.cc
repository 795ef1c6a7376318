#include "peer/core/request_check.h"

#include <algorithm>
#include <variant>

#include "absl/container/btree_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "dns/name_registry.h"

namespace weave {
namespace {

constexpr int kMaxSubnetPrefix = 30;  // at least 4 addresses, spec/ipam.md section 12

// What no host or container may be called.
absl::Status CheckUsable(const Cidr& cidr) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), " ", why));
  };
  const IpAddress& address = cidr.address();
  if (!address.IsV4()) return bad("is not an IPv4 address: only IPv4 is supported");
  if (cidr.prefix_length() == 0) return bad("has no network: want a prefix length of 1 to 32");
  const std::uint32_t first_octet = address.v4() >> 24;
  if (first_octet == 0 || first_octet >= 224) return bad("is not a unicast address");
  if (first_octet == 127) return bad("is a loopback address");
  return absl::OkStatus();
}

// In 2.8's words (contract A5-11).
absl::Status CheckSubnet(const Cidr& subnet) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("invalid subnet - ", why, ": ", subnet.ToString()));
  };
  if (!subnet.address().IsV4()) return bad("not an IPv4 network");
  if (!subnet.IsNetwork()) return bad("bits after network prefix are not all zero");
  if (subnet.prefix_length() > kMaxSubnetPrefix) return bad("smaller than minimum size 4");
  return absl::OkStatus();
}

absl::Status CheckWishes(const std::vector<AddressWish>& wishes) {
  absl::btree_set<IpAddress> seen;
  for (const AddressWish& wish : wishes) {
    if (const auto* any = std::get_if<AnyAddress>(&wish)) {
      if (any->subnet.has_value()) RETURN_IF_ERROR(CheckSubnet(*any->subnet));
      continue;
    }
    const Cidr& cidr = std::get<Cidr>(wish);
    RETURN_IF_ERROR(CheckUsable(cidr));
    if (!seen.insert(cidr.address()).second)
      return absl::InvalidArgumentError(absl::StrCat("address ", cidr.ToString(), " is given twice"));
  }
  return absl::OkStatus();
}

absl::Status CheckIdent(absl::string_view ident) {
  if (ident.empty()) return absl::InvalidArgumentError("the holder of an address needs an id");
  if (ident.size() > kMaxIdentSize)
    return absl::InvalidArgumentError(
        absl::StrCat("an id of ", ident.size(), " bytes is too long: want at most ", kMaxIdentSize));
  if (std::any_of(ident.begin(), ident.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }))
    return absl::InvalidArgumentError("an id must not contain control characters");
  return absl::OkStatus();
}

struct OperationChecker {
  absl::Status operator()(const AllocateOperation& o) const {
    RETURN_IF_ERROR(CheckIdent(o.ident));
    return CheckSubnet(o.subnet);
  }
  absl::Status operator()(const ClaimOperation& o) const {
    RETURN_IF_ERROR(CheckIdent(o.ident));
    return CheckUsable(o.address);
  }
  absl::Status operator()(const ReleaseOperation& o) const { return CheckIdent(o.ident); }
  absl::Status operator()(const DisownOperation&) const { return absl::OkStatus(); }
  absl::Status operator()(const TakeOverOperation&) const { return absl::OkStatus(); }
  absl::Status operator()(const AwaitRingOperation&) const { return absl::OkStatus(); }
  absl::Status operator()(const ShutdownOperation&) const { return absl::OkStatus(); }
};

struct RequestChecker {
  absl::Status operator()(const AttachRequest& r) const {
    RETURN_IF_ERROR(CheckHostname(r.hostname));
    return CheckWishes(r.wishes);
  }
  absl::Status operator()(const DetachRequest& r) const { return CheckWishes(r.wishes); }
  absl::Status operator()(const ExposeRequest& r) const {
    RETURN_IF_ERROR(CheckHostname(r.hostname));
    return CheckWishes(r.wishes);
  }
  absl::Status operator()(const HideRequest& r) const { return CheckWishes(r.wishes); }
  absl::Status operator()(const IpamRequest& r) const { return std::visit(OperationChecker{}, r.operation); }
  absl::Status operator()(const AddNameRequest& r) const {
    RETURN_IF_ERROR(CheckIdent(r.holder));
    RETURN_IF_ERROR(CheckHostname(r.hostname));
    if (r.address.IsV4()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("address ", r.address.ToString(), " is not an IPv4 address: only IPv4 is supported"));
  }
  absl::Status operator()(const RemoveNamesRequest&) const { return absl::OkStatus(); }
  absl::Status operator()(const ResetRequest&) const { return absl::OkStatus(); }
  absl::Status operator()(const ConnectRequest& r) const {
    for (const DirectPeer& peer : r.peers)
      if (peer.text.size() > kMaxDirectPeerSize)
        return absl::InvalidArgumentError(absl::StrCat(
            "peer \"", peer.text.substr(0, 60), "...\" is too long: want at most ", kMaxDirectPeerSize, " characters"));
    return absl::OkStatus();
  }
  absl::Status operator()(const ForgetRequest&) const { return absl::OkStatus(); }
};

absl::Status NeedsAllocator() {
  return absl::FailedPreconditionError("IP address allocation must be enabled to use 'net:'");  // contract A2-12
}

absl::Status CheckExact(const std::vector<AddressWish>& wishes) {
  for (const AddressWish& wish : wishes)
    if (std::holds_alternative<AnyAddress>(wish)) return NeedsAllocator();
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRequest(const ApiRequest& request) { return std::visit(RequestChecker{}, request); }

absl::Status CheckWithoutAllocator(const ApiRequest& request) {
  if (const auto* attach = std::get_if<AttachRequest>(&request))
    return attach->wishes.empty() ? NeedsAllocator() : CheckExact(attach->wishes);
  if (const auto* expose = std::get_if<ExposeRequest>(&request))
    return expose->wishes.empty() ? NeedsAllocator() : CheckExact(expose->wishes);
  if (const auto* detach = std::get_if<DetachRequest>(&request)) return CheckExact(detach->wishes);
  if (const auto* hide = std::get_if<HideRequest>(&request)) return CheckExact(hide->wishes);
  if (std::holds_alternative<IpamRequest>(request))
    return absl::NotFoundError("this peer allocates no addresses: it was started without --ipalloc-range");
  return absl::OkStatus();
}

}  // namespace weave
