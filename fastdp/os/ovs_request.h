// Messages to Open vSwitch, attribute by attribute as in vectors/ovs_netlink.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "fastdp/dpif.h"
#include "fastdp/flow.h"
#include "host/netlink_socket.h"

namespace weave {

// The kernel's numbers of today.
struct OvsFamilies {
  int datapath = 0;
  int vport = 0;
  int flow = 0;
  int packet = 0;
  int datapath_group = 0;
  int vport_group = 0;
};

// OVS_DP_F_UNALIGNED and OVS_DP_F_VPORT_PIDS: a frame ends where it ends, and every port has its own receiver of
// misses.
inline constexpr std::uint32_t kOvsFeatures = 3;

// A datapath is named by its device's name, its content by the device's index.
class OvsRequests {
 public:
  explicit OvsRequests(const OvsFamilies& families) : families_(families) {}

  const OvsFamilies& families() const { return families_; }

  NetlinkRequest NewDatapath(absl::string_view name) const;
  NetlinkRequest GetDatapath(absl::string_view name) const;
  NetlinkRequest SetDatapathFeatures(int datapath) const;
  NetlinkRequest DeleteDatapath(absl::string_view name) const;

  // `udp_port`: of a tunnel port. `upcall_pid` 0: its misses go nowhere yet.
  NetlinkRequest NewVport(int datapath, absl::string_view name, std::uint32_t type,
                          std::optional<std::uint16_t> udp_port, std::uint32_t upcall_pid) const;
  NetlinkRequest ListVports(int datapath) const;
  // In whatever datapath of this namespace.
  NetlinkRequest FindVport(absl::string_view name) const;
  NetlinkRequest SetUpcallPid(int datapath, VportNumber number, std::uint32_t pid) const;
  NetlinkRequest DeleteVport(int datapath, absl::string_view name) const;

  // With other actions for a flow that is there. Not NLM_F_CREATE: the kernel takes it for NLM_F_EXCL.
  NetlinkRequest PutFlow(int datapath, const FlowKey& key, ByteView actions) const;
  NetlinkRequest GetFlow(int datapath, ByteView key) const;
  NetlinkRequest ListFlows(int datapath) const;
  NetlinkRequest ClearFlowStats(int datapath, const FlowKey& key) const;
  // `attribute`: OVS_FLOW_ATTR_KEY or _UFID with its value. A request without either would delete every flow.
  NetlinkRequest DeleteFlow(int datapath, int attribute, ByteView value) const;

  // The empty key lets the kernel find out itself what packet it is.
  NetlinkRequest Execute(int datapath, ByteView frame, ByteView actions) const;

 private:
  const OvsFamilies families_;
};

}  // namespace weave
