// libnetwork's address management, driver `weavemesh`: pools and addresses, translated to the peer's allocator. Holds
// no pools: an id says all (`weave-SUBNET-RANGE`).
#pragma once

#include <functional>
#include <set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "io/mutex.h"
#include "plugin/docker/peer_access.h"
#include "weave/v1/libnetwork.pb.h"

namespace weave {

struct AddressPool {
  Cidr subnet;
  Cidr range;  // where addresses come from; a part of the subnet
};

std::string FormatPoolId(const AddressPool& pool);

// InvalidArgument: `Unrecognized pool ID: ...`, or which part of it is no IPv4 network.
absl::StatusOr<AddressPool> ParsePoolId(absl::string_view id);

// Any thread; blocks as PeerAccess does.
class IpamDriver {
 public:
  // Whether a running container of Docker has this address; an error when Docker cannot say.
  using InUse = std::function<absl::StatusOr<bool>(const IpAddress&)>;

  // `peer` outlives this.
  IpamDriver(const PeerAccess& peer, InUse in_use) : peer_(peer), in_use_(std::move(in_use)) {}

  absl::StatusOr<v1::libnetwork::RequestPoolReply> RequestPool(const v1::libnetwork::RequestPoolRequest& request);
  absl::Status ReleasePool(const v1::libnetwork::AddressRequest& request);

  // With an address in the request exactly that one, else a free one of the range. An address that somebody has is
  // refused, but for one that Docker's containers do not have: what a plugin that was down could not be told.
  absl::StatusOr<v1::libnetwork::RequestAddressReply> RequestAddress(const v1::libnetwork::AddressRequest& request);
  absl::Status ReleaseAddress(const v1::libnetwork::AddressRequest& request);

  // Since we run, and Docker has not given it back.
  bool HasGiven(const IpAddress& address);
  // Tells the peer that Docker does not use these any more, but for those that it has asked for meanwhile.
  absl::Status Disown(const std::vector<IpAddress>& addresses);

 private:
  absl::StatusOr<AddressPool> PoolOf(absl::string_view id) const;
  absl::Status Claim(const Cidr& address);

  const PeerAccess& peer_;
  const InUse in_use_;
  Mutex mutex_;
  std::set<IpAddress> given_ ABSL_GUARDED_BY(mutex_);  // since we run
};

}  // namespace weave
