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

// Without fast datapath the bridge takes the largest packets Linux can carry (spec/overlay.md section 6).
inline constexpr std::uint32_t kPlainBridgeMtu = 65535;

enum class BridgeKind { kNone, kBridge, kBridgedFastdp, kFastdp };

// "none", "bridge", "bridged_fastdp", "fastdp": the words of the status page.
absl::string_view ToString(BridgeKind kind);

// What is there, by the kinds of the two devices. A combination that none of the types makes (a datapath without its
// bridge, a name taken by another kind of device) is FailedPrecondition with advice.
absl::StatusOr<BridgeKind> DetectBridgeKind(Netlink& netlink, absl::string_view bridge, absl::string_view datapath);

struct BridgeSpec {
  std::string name = "weave";
  MacAddress mac;                    // of a bridge that has to be made: the peer name
  std::uint32_t mtu_bytes = 0;       // 0: kPlainBridgeMtu
  bool tx_checksum_offload = false;  // on only for the fast datapath
  std::string proc_path = "/proc";
};

struct BridgeState {
  int index = 0;
  MacAddress mac;
  std::uint32_t mtu_bytes = 0;
  bool created = false;  // by this call
};

// Makes the bridge, or adopts the Linux bridge of that name: its MAC stays, its MTU becomes what is asked, it comes up.
// Container interfaces that lost their bridge are put into a bridge that had to be made (contract A7-12). A name taken
// by another kind of device: FailedPrecondition naming both. Runs in the calling thread's namespace, which must be
// `netlink`'s. A bridge made by a failed call is removed again.
absl::StatusOr<BridgeState> EnsureBridge(Netlink& netlink, const BridgeSpec& spec);

// Deletes the bridge, the veths of ours in it, and those that have lost their bridge. Interfaces of others that were in
// the bridge stay. Nothing there is success; another kind of device of that name is left alone: FailedPrecondition.
absl::Status RemoveBridge(Netlink& netlink, absl::string_view name);

// The MAC of the bridge, nullopt when there is none: a peer name that must survive a restart (spec/overlay.md section
// 9).
absl::StatusOr<std::optional<MacAddress>> FindBridgeMac(Netlink& netlink, absl::string_view name);

// IPv4 addresses on the bridge. No bridge: NotFound, here and below.
absl::StatusOr<std::vector<Cidr>> ListBridgeAddresses(Netlink& netlink, absl::string_view bridge);

// True: added and announced by gratuitous ARP; false: it was there. On another interface of this host: AlreadyExists
// naming it. Runs in the calling thread's namespace, which must be `netlink`'s.
absl::StatusOr<bool> AddBridgeAddress(Netlink& netlink, absl::string_view bridge, const Cidr& cidr);

// True: removed; false: it was not there (or there is no bridge).
absl::StatusOr<bool> RemoveBridgeAddress(Netlink& netlink, absl::string_view bridge, const Cidr& cidr);

}  // namespace weave
