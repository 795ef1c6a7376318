// The bridge all containers of this host hang on, its addresses, and what kind of bridge is there (spec/overlay.md
// section 6).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"
#include "base/mac.h"
#include "host/netlink.h"

namespace weave {

// kBridge: a Linux bridge. kBridgedFastdp: a Linux bridge, and beside it an Open vSwitch datapath. kFastdp: a datapath
// instead of a bridge, and in this room it is called one all the same.
enum class BridgeKind { kNone, kBridge, kBridgedFastdp, kFastdp };

// "none", "bridge", "bridged_fastdp", "fastdp": the words of `weave bridge-type`.
absl::string_view ToString(BridgeKind kind);

// Without fast datapath the bridge takes the largest packets Linux can carry; with it, what a tunnel gets through an
// underlay of 1460 bytes (spec/overlay.md sections 3.6 and 6).
inline constexpr std::uint32_t kPlainBridgeMtu = 65535;
inline constexpr std::uint32_t kFastdpMtu = 1376;

// The datapath beside a Linux bridge, unless it is called otherwise.
inline constexpr char kDefaultDatapath[] = "datapath";

// What is there, by the kinds of the two devices. Where one of bridge and datapath was deleted underneath, the other
// and the port between them tell. A combination that none of the types makes (a name taken by another kind of device)
// is FailedPrecondition with advice.
absl::StatusOr<BridgeKind> DetectBridgeKind(Netlink& netlink, absl::string_view bridge, absl::string_view datapath);

struct BridgeSpec {
  BridgeKind kind = BridgeKind::kBridge;
  std::string name = "weave";
  std::string datapath = kDefaultDatapath;  // kBridgedFastdp
  MacAddress mac;                           // of a Linux bridge that has to be made: the peer name
  std::uint32_t mtu_bytes = 0;              // 0: what the kind has
  // The MTU is for a host without containers only. Where there are some, the bridge has the least of theirs, though not
  // less than what the kind has: on one link all must take what the others send.
  bool mtu_follows_containers = false;
  bool tx_checksum_offload = false;  // on only for the fast datapath
  std::string proc_path = "/proc";

  std::uint32_t EffectiveMtu() const;
};

struct BridgeState {
  int index = 0;
  MacAddress mac;
  std::uint32_t mtu_bytes = 0;
  bool created = false;         // by this call
  bool has_containers = false;  // told with `mtu_follows_containers`
};

// A Linux bridge without a MAC of its own takes the lowest of its ports, and with each container another: clients then
// have the old one in their ARP tables. Sets the one that it has now (contract A3-06b). A bridge that is not there is
// no error.
absl::Status PinBridgeMac(Netlink& netlink, absl::string_view name);

// Makes the bridge, or adopts the Linux bridge of that name: its MAC stays, its MTU becomes what is asked, it comes up.
// Container interfaces that lost their bridge are put into a bridge that had to be made (contract A7-12). A name taken
// by another kind of device: FailedPrecondition naming both. Runs in the calling thread's namespace, which must be
// `netlink`'s. A bridge made by a failed call is removed again. Of kind kFastdp the datapath must be there (NotFound);
// its MAC is the kernel's choice.
absl::StatusOr<BridgeState> EnsureBridge(Netlink& netlink, const BridgeSpec& spec);

// Deletes the bridge, the veths of ours in it, and those that have lost their bridge. Interfaces of others that were in
// the bridge stay, and so does a datapath, which is not rtnetlink's to delete. Nothing there is success; another kind
// of device of that name is left alone: FailedPrecondition.
absl::Status RemoveBridge(Netlink& netlink, absl::string_view name);

// Can containers hang on it: a Linux bridge, or a datapath?
bool IsBridge(const LinkInfo& link);

// Makes `port`, which is in no bridge, a port of the bridge; one of it already is success. Runs in the calling thread's
// namespace, which must be `netlink`'s.
absl::Status JoinBridge(Netlink& netlink, const LinkInfo& bridge, const LinkInfo& port);
absl::Status LeaveBridge(Netlink& netlink, const LinkInfo& bridge, const LinkInfo& port);

// The MAC of the bridge, nullopt when there is none.
absl::StatusOr<std::optional<MacAddress>> FindBridgeMac(Netlink& netlink, absl::string_view name);

// The same where it is a peer name that must survive a restart (spec/overlay.md section 9): a datapath's is the
// kernel's choice and means nothing.
absl::StatusOr<std::optional<MacAddress>> FindPeerMac(Netlink& netlink, absl::string_view name);

// IPv4 addresses on the bridge. No bridge: NotFound, here and below.
absl::StatusOr<std::vector<Cidr>> ListBridgeAddresses(Netlink& netlink, absl::string_view bridge);

// True: added and announced by gratuitous ARP; false: it was there. On another interface of this host: AlreadyExists
// naming it. Runs in the calling thread's namespace, which must be `netlink`'s.
absl::StatusOr<bool> AddBridgeAddress(Netlink& netlink, absl::string_view bridge, const Cidr& cidr);

// True: removed; false: it was not there (or there is no bridge).
absl::StatusOr<bool> RemoveBridgeAddress(Netlink& netlink, absl::string_view bridge, const Cidr& cidr);

}  // namespace weave
