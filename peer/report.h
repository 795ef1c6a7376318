// GET /report and `weave report`: everything the peer can say about itself, in the shape of 2.8 (spec/control.md
// section 4), as JSON or through a template.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mac.h"
#include "base/peer_name.h"
#include "ipam/allocator.h"
#include "mesh/mesh_status.h"
#include "peer/dns_pages.h"
#include "peer/plugin_page.h"
#include "peer/report_value.h"

namespace weave {

// What the data path says of itself.
struct DataPathView {
  struct Mac {
    MacAddress mac;
    PeerName name;  // the peer it is at
    std::string nickname;
    absl::Time last_seen;
  };

  std::string interface;  // where frames are captured, or the datapath; empty: nowhere yet
  std::uint64_t frames_received = 0;
  std::uint64_t frames_dropped = 0;  // the capture's buffer was full
  // Of a datapath, whose misses take the place of captured frames; none: there is no datapath.
  std::optional<std::uint64_t> flow_misses = {};
  std::vector<Mac> macs;
};

// What a report is made of, sampled together. Parts that are off are absent.
struct ReportView {
  std::string version;
  bool ready = false;
  std::optional<MeshStatus> mesh;
  std::optional<IpamStatus> ipam = {};
  DataPathView data_path = {};
  std::optional<DnsView> dns = {};
  std::optional<PluginView> plugin = {};
};

// What templates see, and JSON in the order of its fields. Later features add their section here: Proxy stands in it as
// absent until then.
ReportValue MakeReport(const ReportView& view);

// Indented JSON without `format`, else what the template makes of the report. Errors are those of RenderTemplate
// (peer/report_template.h). Any thread; may take a second for the largest, so not the loop.
absl::StatusOr<std::string> RenderReport(const ReportView& view, const std::optional<std::string>& format);

}  // namespace weave
