#include "host/routes.h"

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave {
namespace {

absl::StatusOr<std::optional<RouteOverlap>> FindRoute(Netlink& netlink, absl::string_view ignored_device,
                                                      absl::FunctionRef<bool(const Cidr&)> collides) {
  ASSIGN_OR_RETURN(std::vector<RouteInfo> routes, netlink.Routes());
  for (const RouteInfo& route : routes) {
    if (route.destination.prefix_length() == 0 || !collides(route.destination)) continue;
    std::string device;
    if (route.link_index != 0) {
      ASSIGN_OR_RETURN(std::optional<LinkInfo> link, netlink.FindLink(route.link_index));
      if (!link) continue;  // gone since, and its routes with it
      if (link->name == ignored_device) continue;
      device = link->name;
    }
    return std::optional<RouteOverlap>({route.destination, device});
  }
  return std::optional<RouteOverlap>();
}

}  // namespace

std::string RouteOverlap::ToString() const {
  return device.empty() ? route.ToString() : absl::StrCat(route.ToString(), " dev ", device);
}

absl::StatusOr<std::optional<RouteOverlap>> FindRouteOverlap(Netlink& netlink, const Cidr& network,
                                                             absl::string_view ignored_device) {
  return FindRoute(netlink, ignored_device, [&](const Cidr& route) { return route.Overlaps(network); });
}

absl::StatusOr<std::optional<RouteOverlap>> FindRouteTo(Netlink& netlink, const IpAddress& address,
                                                        absl::string_view ignored_device) {
  return FindRoute(netlink, ignored_device, [&](const Cidr& route) { return route.Contains(address); });
}

}  // namespace weave
