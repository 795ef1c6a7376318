#include "sim/mesh_checker.h"

#include <deque>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace weave::sim {
namespace {

using ByName = absl::btree_map<PeerName, const MeshRouter*>;

template <typename... Parts>
absl::Status Broken(const Parts&... parts) {
  return absl::InternalError(absl::StrCat(parts...));
}

PeerName NameOf(const MeshRouter& router) { return router.topology().self(); }

ByName Index(Routers routers) {
  ByName by_name;
  for (const MeshRouter* router : routers) by_name[NameOf(*router)] = router;
  return by_name;
}

// The connections of one peer against what the other ends say.
absl::Status CheckLinks(const PeerSummary& record, const ByName& by_name) {
  for (const ConnectionSummary& connection : record.connections) {
    const auto link = [&] { return absl::StrCat(record.name.ToString(), " to ", connection.peer.ToString()); };
    const auto other = by_name.find(connection.peer);
    if (other == by_name.end()) return Broken("the connection of ", link(), " leads to nobody");
    if (!connection.established) return Broken("the connection of ", link(), " is not established");
    bool known = false;
    for (const ConnectionSummary& back : other->second->topology().Find(connection.peer)->connections)
      known = known || back.peer == record.name;
    if (!known) return Broken("the other end knows nothing of the connection of ", link());
  }
  return absl::OkStatus();
}

absl::Status CheckUnicast(Links links, const MeshRouter& from, PeerName to, const ByName& by_name) {
  const MeshRouter* at = &from;
  for (std::size_t hops = 0; NameOf(*at) != to; ++hops) {
    const auto where = [&] {
      return absl::StrCat(NameOf(*at).ToString(), " on the way from ", NameOf(from).ToString(), " to ", to.ToString(),
                          links == Links::kAll ? " (gossip)" : " (frames)");
    };
    if (hops >= by_name.size()) return Broken("a circle at ", where());
    const std::optional<PeerName> next = at->routes().NextHop(links, to);
    if (!next.has_value() || !by_name.contains(*next)) return Broken("no way on at ", where());
    at = by_name.at(*next);
  }
  return absl::OkStatus();
}

absl::Status CheckBroadcast(Links links, PeerName source, const ByName& by_name) {
  absl::btree_map<PeerName, std::size_t> arrived;
  std::deque<PeerName> passing_on = {source};
  for (std::size_t copies = 0; !passing_on.empty(); passing_on.pop_front()) {
    for (const PeerName next : by_name.at(passing_on.front())->routes().Broadcast(links, source)) {
      ++arrived[next];
      if (++copies > by_name.size()) return Broken("a broadcast of ", source.ToString(), " multiplies");
      if (by_name.contains(next)) passing_on.push_back(next);
    }
  }
  for (const auto& [name, router] : by_name) {
    const std::size_t want = name == source ? 0 : 1;
    if (arrived[name] != want)
      return Broken("a broadcast of ", source.ToString(), " reaches ", name.ToString(), " ", arrived[name], " times");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckTopologies(Routers routers) {
  const ByName by_name = Index(routers);
  for (const auto& [name, router] : by_name) {
    const Topology& topology = router->topology();
    if (topology.peer_count() != by_name.size())
      return Broken(name.ToString(), " knows ", topology.peer_count(), " peers of ", by_name.size());
    for (const auto& [owner, other] : by_name) {
      const PeerSummary* record = topology.Find(owner);
      const PeerSummary* own = other->topology().Find(owner);
      if (record == nullptr) return Broken(name.ToString(), " does not know ", owner.ToString());
      if (!(*record == *own))
        return Broken(name.ToString(), " has version ", record->version, " of ", owner.ToString(), ", which is at ",
                      own->version, record->uid == own->uid ? "" : " in another life");
    }
    RETURN_IF_ERROR(CheckLinks(*topology.Find(name), by_name));
  }
  return absl::OkStatus();
}

absl::Status CheckRoutes(Routers routers) {
  const ByName by_name = Index(routers);
  for (const Links links : {Links::kEstablished, Links::kAll}) {
    for (const auto& [source, router] : by_name) {
      for (const auto& [destination, other] : by_name)
        RETURN_IF_ERROR(CheckUnicast(links, *router, destination, by_name));
      RETURN_IF_ERROR(CheckBroadcast(links, source, by_name));
    }
  }
  return absl::OkStatus();
}

}  // namespace weave::sim
