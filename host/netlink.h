// The kernel's links, addresses and routes of one network namespace, as our own types. The only place that speaks
// rtnetlink requests; the rest of host/ is written in these words.
#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/mac.h"
#include "host/netns.h"

namespace weave {

struct LinkInfo {
  int index = 0;  // of the interface; unique within its namespace
  std::string name;
  std::string kind;  // "bridge", "veth", "openvswitch", "tun", ...; empty for hardware and loopback
  std::optional<MacAddress> mac;
  std::uint32_t mtu_bytes = 0;
  bool up = false;               // administratively (IFF_UP)
  bool operational = false;      // carries traffic (operstate up, or unknown as on loopback)
  int master_index = 0;          // the bridge it is a port of; 0: none
  int peer_index = 0;            // veth: index of the other end, in the namespace `peer_nsid`
  std::optional<int> peer_nsid;  // absent: the other end is in the same namespace
  bool hairpin = false;          // bridge port in hairpin mode
  std::string alias;             // what somebody noted on it, for people and programs
};

// Of an alias, in bytes.
inline constexpr std::size_t kMaxLinkAliasSize = 255;

// Can a link be called that? 1..15 characters, no blank, slash or colon, not "." or "..".
bool IsLinkName(absl::string_view name);

struct InterfaceAddress {
  int link_index = 0;
  Cidr cidr;

  friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

struct RouteInfo {
  Cidr destination;    // 0.0.0.0/0: the default route
  int link_index = 0;  // 0: none (blackhole and the like)
  bool link_scope = false;
  std::optional<IpAddress> gateway;
};

// What CreateVeth makes: one end here, the other in `peer_ns`, both in one step, so that a crash leaves both or none.
struct VethSpec {
  std::string name;
  std::string peer_name;
  int peer_ns_fd = -1;          // -1: this namespace
  std::uint32_t mtu_bytes = 0;  // of both ends; 0: the kernel's default
  int master_index = 0;         // of the end here; 0: none
};

// A blocking rtnetlink socket. It stays in the namespace it was opened in, whatever thread uses it; one thread at a
// time. Errors carry the kernel's own words where it gives any. Codes: NotFound (no such link or address),
// AlreadyExists, PermissionDenied, Unavailable (interrupted dump, no buffer), InvalidArgument, Internal for the rest.
class Netlink {
 public:
  // In the calling thread's namespace.
  static absl::StatusOr<Netlink> Open();
  static absl::StatusOr<Netlink> OpenIn(const NetNs& ns);

  Netlink(Netlink&&) noexcept;
  Netlink& operator=(Netlink&&) noexcept;
  ~Netlink();

  absl::StatusOr<std::vector<LinkInfo>> Links();
  // Found, not there (nullopt), or failed.
  absl::StatusOr<std::optional<LinkInfo>> FindLink(absl::string_view name);
  absl::StatusOr<std::optional<LinkInfo>> FindLink(int index);

  // The number under which this namespace knows `ns` (LinkInfo::peer_nsid); nullopt: it knows no number yet.
  absl::StatusOr<std::optional<int>> NsIdOf(const NetNs& ns);

  // IPv4 addresses in the kernel's order, of one link or (0) of all.
  absl::StatusOr<std::vector<InterfaceAddress>> Addresses(int link_index = 0);

  // IPv4 routes of the main table.
  absl::StatusOr<std::vector<RouteInfo>> Routes();

  // A bridge that is down. `name` taken by anything: AlreadyExists.
  absl::Status CreateBridge(absl::string_view name, const std::optional<MacAddress>& mac);
  // Either name taken: AlreadyExists. Both ends are down.
  absl::Status CreateVeth(const VethSpec& spec);

  absl::Status SetUp(int link_index, bool up);
  absl::Status SetMtu(int link_index, std::uint32_t mtu_bytes);
  absl::Status SetMac(int link_index, const MacAddress& mac);
  absl::Status SetMaster(int link_index, int master_index);  // 0: none
  absl::Status SetHairpin(int link_index, bool on);          // of a bridge port
  absl::Status SetAlias(int link_index, absl::string_view alias);

  // Every frame that the link sends or receives is run through a program of classic BPF, which returns TC_ACT_OK or
  // TC_ACT_SHOT. Replaces one that was set before; goes with the link.
  absl::Status SetFrameFilter(int link_index, const std::vector<sock_filter>& program);

  // Nothing there is success. Deleting one end of a veth pair deletes the other.
  absl::Status DeleteLink(int link_index);

  // There already, with this prefix length: AlreadyExists.
  absl::Status AddAddress(int link_index, const Cidr& cidr);
  // Nothing there is success. Deleting the first address of a subnet makes the kernel drop the others of it; they are
  // put back.
  absl::Status RemoveAddress(int link_index, const Cidr& cidr);

  // A route of the main table. One to the same destination, however it leads there: AlreadyExists.
  absl::Status AddRoute(const RouteInfo& route);
  // Nothing there is success.
  absl::Status RemoveRoute(const RouteInfo& route);

 private:
  class Socket;
  explicit Netlink(std::unique_ptr<Socket> socket);

  std::unique_ptr<Socket> socket_;
};

}  // namespace weave
