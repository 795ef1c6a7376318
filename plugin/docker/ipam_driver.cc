#include "plugin/docker/ipam_driver.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace weave {
namespace {

constexpr char kOldPoolId[] = "weavepool";  // the default subnet, before pools had subnets

// Host bits are dropped, as Docker drops them.
absl::StatusOr<Cidr> ParseNetwork(absl::string_view text) {
  const absl::StatusOr<Cidr> cidr = Cidr::Parse(text);
  if (!cidr.ok() || !cidr->address().IsV4())
    return absl::InvalidArgumentError(absl::StrCat("invalid CIDR address: ", absl::Utf8SafeCHexEscape(text)));
  return cidr->Network();
}

bool IsWithin(const Cidr& inner, const Cidr& outer) {
  return inner.prefix_length() >= outer.prefix_length() && outer.Contains(inner.address());
}

absl::StatusOr<AddressPool> MakePool(absl::string_view subnet, absl::string_view range) {
  AddressPool pool;
  ASSIGN_OR_RETURN(pool.subnet, ParseNetwork(subnet));
  ASSIGN_OR_RETURN(pool.range, ParseNetwork(range));
  if (!IsWithin(pool.range, pool.subnet))
    return absl::InvalidArgumentError(
        absl::StrCat("range ", pool.range.ToString(), " is not within subnet ", pool.subnet.ToString()));
  return pool;
}

absl::StatusOr<IpAddress> ParseAddress(absl::string_view text) {
  absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok() || !address->IsV4())
    return absl::InvalidArgumentError(absl::StrCat("invalid IPv4 address: ", absl::Utf8SafeCHexEscape(text)));
  return address;
}

}  // namespace

std::string FormatPoolId(const AddressPool& pool) {
  return absl::StrCat("weave-", pool.subnet.ToString(), "-", pool.range.ToString());
}

absl::StatusOr<AddressPool> ParsePoolId(absl::string_view id) {
  const std::vector<absl::string_view> parts = absl::StrSplit(id, '-');
  if (parts.size() != 3 || parts[0] != "weave")
    return absl::InvalidArgumentError(absl::StrCat("Unrecognized pool ID: ", absl::Utf8SafeCHexEscape(id)));
  return MakePool(parts[1], parts[2]);
}

absl::StatusOr<AddressPool> IpamDriver::PoolOf(absl::string_view id) const {
  if (id != kOldPoolId) return ParsePoolId(id);
  ASSIGN_OR_RETURN(const Cidr subnet, peer_.DefaultSubnet());
  return AddressPool{subnet, subnet};
}

absl::StatusOr<v1::libnetwork::RequestPoolReply> IpamDriver::RequestPool(
    const v1::libnetwork::RequestPoolRequest& request) {
  if (request.v6()) return absl::InvalidArgumentError("V6: weave networks have IPv4 addresses only");
  std::string subnet = request.pool();
  if (subnet.empty()) {
    ASSIGN_OR_RETURN(const Cidr otherwise, peer_.DefaultSubnet());
    subnet = otherwise.ToString();
  }
  ASSIGN_OR_RETURN(const AddressPool pool, MakePool(subnet, request.sub_pool().empty() ? subnet : request.sub_pool()));
  v1::libnetwork::RequestPoolReply reply;
  reply.set_pool_id(FormatPoolId(pool));
  reply.set_pool(pool.subnet.ToString());
  // No gateway is ours to name, but one has to be given: the network's own address, which nobody can have.
  (*reply.mutable_data())["com.docker.network.gateway"] = pool.subnet.ToString();
  return reply;
}

absl::Status IpamDriver::ReleasePool(const v1::libnetwork::AddressRequest& request) {
  if (request.pool_id() == kOldPoolId) return absl::OkStatus();
  return ParsePoolId(request.pool_id()).status();
}

absl::Status IpamDriver::Claim(const Cidr& address) {
  {
    const MutexLock lock(&mutex_);
    if (!given_.insert(address.address()).second)
      return absl::AlreadyExistsError(absl::StrCat("address ", address.address().ToString(), " is in use already"));
  }
  absl::Status status = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const bool held, peer_.IsHeld(address.address()));
    // The peer would let us have it: to it, all holders that only Docker knows are one.
    if (held && in_use_(address.address()).value_or(true))
      return absl::AlreadyExistsError(absl::StrCat("address ", address.address().ToString(), " is in use already"));
    return peer_.Claim(address);
  }();
  if (!status.ok()) {
    const MutexLock lock(&mutex_);
    given_.erase(address.address());
  }
  return status;
}

absl::StatusOr<v1::libnetwork::RequestAddressReply> IpamDriver::RequestAddress(
    const v1::libnetwork::AddressRequest& request) {
  ASSIGN_OR_RETURN(const AddressPool pool, PoolOf(request.pool_id()));
  Cidr given;
  if (request.address().empty()) {
    ASSIGN_OR_RETURN(const Cidr allocated, peer_.Allocate(pool.range));
    given = Cidr(allocated.address(), pool.subnet.prefix_length());
    const MutexLock lock(&mutex_);
    given_.insert(given.address());
  } else {
    ASSIGN_OR_RETURN(const IpAddress address, ParseAddress(request.address()));
    if (!pool.subnet.Contains(address))
      return absl::InvalidArgumentError(
          absl::StrCat("address ", address.ToString(), " is not in subnet ", pool.subnet.ToString()));
    given = Cidr(address, pool.subnet.prefix_length());
    RETURN_IF_ERROR(Claim(given));
  }
  v1::libnetwork::RequestAddressReply reply;
  reply.set_address(given.ToString());
  reply.mutable_data()->set_null_value(google::protobuf::NULL_VALUE);
  return reply;
}

absl::Status IpamDriver::ReleaseAddress(const v1::libnetwork::AddressRequest& request) {
  ASSIGN_OR_RETURN(const AddressPool pool, PoolOf(request.pool_id()));
  ASSIGN_OR_RETURN(const IpAddress address, ParseAddress(request.address()));
  if (address == pool.subnet.address()) return absl::OkStatus();  // the gateway that is none
  absl::Status status = peer_.Release(address);
  {
    // Docker forgets it whatever we answer.
    const MutexLock lock(&mutex_);
    given_.erase(address);
  }
  return status;
}

bool IpamDriver::HasGiven(const IpAddress& address) {
  const MutexLock lock(&mutex_);
  return given_.contains(address);
}

absl::Status IpamDriver::Disown(const std::vector<IpAddress>& addresses) {
  // Held until the peer has answered: who claims one of these now claims it after that.
  const MutexLock lock(&mutex_);
  std::vector<IpAddress> disowned;
  for (const IpAddress& address : addresses)
    if (!given_.contains(address)) disowned.push_back(address);
  return disowned.empty() ? absl::OkStatus() : peer_.Disown(disowned);
}

}  // namespace weave
