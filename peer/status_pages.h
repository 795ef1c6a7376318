// The text of the status pages (spec/control.md section 3): what `weave status` and GET /status... print, byte for byte
// as 2.8 does. Plain data in, text out; the caller knows the HTTP status (503 while not ready).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/peer_name.h"
#include "ipam/allocator.h"
#include "mesh/mesh_status.h"
#include "peer/core/peer_core.h"
#include "peer/dns_pages.h"
#include "peer/plugin_page.h"

namespace weave {

// We never ask anybody for newer versions; these are 2.8's words for that.
inline constexpr char kVersionCheckText[] = "version check update disabled";

// What the pages show. Parts that are off have no section.
struct StatusView {
  std::string version;
  MeshStatus mesh;
  std::optional<IpamStatus> ipam;
  std::optional<DnsView> dns = {};
  std::optional<PluginView> plugin = {};

  // Not 2.8's: why the host is not as it should be; empty when it is. One line is made of it.
  std::string host_error;
  // The same of its bridge, which is of another type than the peer would make.
  std::string bridge_type;
  std::string bridge_type_reason;
};

StatusView MakeStatusView(const PeerSnapshot& snapshot, MeshStatus mesh, absl::string_view version);

std::string StatusPage(const StatusView& view);
std::string TargetsPage(const StatusView& view);
std::string ConnectionsPage(const StatusView& view);
std::string PeersPage(const StatusView& view);

// Others choose nicknames, addresses and holders: nothing in them may pass for a line of ours, or command a terminal.
std::string OneLine(std::string text);
// `00:00:00:00:00:01(host1)`, on one line.
std::string NameAndNickname(PeerName name, absl::string_view nickname);

// ---- words about a connection, for pages, report and metrics alike ----

// `established`, `retrying`, ...
const char* ToString(MeshStatus::ConnectionState state);

// The column INFO: overlay and peer of a live connection, else why there is none and when it is tried again.
std::string ConnectionInfo(const MeshStatus::Connection& connection, bool has_password);

// `name`, `mtu`, ... of a live connection as they print. Empty before it has an overlay.
std::map<std::string, std::string> ConnectionAttributes(const MeshStatus::Connection& connection);

}  // namespace weave
