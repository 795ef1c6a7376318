// Watches this host's links for what a person or a container's end does behind our back. Lives on the event loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "io/event_loop.h"

namespace weave {

struct LinkMonitorOptions {
  std::string bridge = "weave";
  std::string router_port = "vethwe-bridge";  // the overlay's own port of the bridge (spec/overlay.md section 6)
  // Links beside the bridge without which containers cannot talk: a datapath, and what connects the two.
  std::vector<std::string> parts;
};

// Called on the loop's thread, once per change; never from inside Start().
struct LinkMonitorCallbacks {
  // The container ended, or somebody deleted it. `link_index`: which of all that had or will have that name.
  std::function<void(const std::string& host_ifname, int link_index)> on_host_end_gone;
  // A container's interface came, went, leads elsewhere, or is a port of something else.
  std::function<void()> on_ports_changed;
  std::function<void()> on_bridge_gone;
  std::function<void()> on_bridge_down;                     // contract A7-11
  std::function<void(const std::string& port)> on_hairpin;  // contract A7-10: the router's port went into hairpin mode
  std::function<void(const std::string& part)> on_part_lost;  // deleted, or taken out of what it was a port of
};

// Subscribes to the link events of the namespace it is started in. When the kernel drops events (ENOBUFS) it lists all
// links and reports the difference; a change of that moment may be told twice. What is wrong already at the start
// (bridge down or missing, a part missing, hairpin) is reported in the first turn. A callback must not destroy the
// monitor.
class LinkMonitor {
 public:
  static absl::StatusOr<std::unique_ptr<LinkMonitor>> Start(EventLoop& loop, LinkMonitorOptions options,
                                                            LinkMonitorCallbacks callbacks);
  virtual ~LinkMonitor() = default;
};

}  // namespace weave
