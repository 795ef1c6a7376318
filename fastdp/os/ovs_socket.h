// Requests to Open vSwitch and their answers, in our own types: what ovs_datapath.cc and ovs_dpif.cc share.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fastdp/os/ovs_codec.h"
#include "fastdp/os/ovs_request.h"
#include "host/netlink_socket.h"

namespace weave {

class OvsSocket {
 public:
  // In the calling thread's namespace. NotFound: this kernel has no Open vSwitch.
  static absl::StatusOr<OvsSocket> Open();

  NetlinkSocket& netlink() { return netlink_; }
  const OvsRequests& requests() const { return requests_; }

  // None: no datapath has this name, or none can.
  absl::StatusOr<std::optional<OvsDatapathInfo>> FindDatapath(absl::string_view name);

  // In whatever datapath of the namespace.
  absl::StatusOr<std::optional<OvsVportInfo>> FindVport(absl::string_view name);
  // By number.
  absl::StatusOr<std::vector<OvsVportInfo>> ListVports(int datapath);

 private:
  OvsSocket(NetlinkSocket netlink, const OvsFamilies& families) : netlink_(std::move(netlink)), requests_(families) {}

  NetlinkSocket netlink_;
  OvsRequests requests_;
};

}  // namespace weave
