// Does an address range collide with where this host already sends packets (contract A1-12, "netcheck")?
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/ip.h"
#include "host/netlink.h"

namespace weave {

struct RouteOverlap {
  Cidr route;
  std::string device;  // empty: none (blackhole)

  // `10.0.0.0/8 dev eth0`
  std::string ToString() const;
};

// The first IPv4 route of the main table that lies in `network` or contains it. Default routes do not count; routes of
// `ignored_device` (the weave bridge, which may not exist) neither.
absl::StatusOr<std::optional<RouteOverlap>> FindRouteOverlap(Netlink& netlink, const Cidr& network,
                                                             absl::string_view ignored_device);

// The same for one address given by a user, which collides only when a route contains it: traffic between containers
// never consults the host's routes.
absl::StatusOr<std::optional<RouteOverlap>> FindRouteTo(Netlink& netlink, const IpAddress& address,
                                                        absl::string_view ignored_device);

}  // namespace weave
