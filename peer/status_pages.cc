#include "peer/status_pages.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "peer/ipam_pages.h"

namespace weave {
namespace {

constexpr int kLabelWidth = 15;
constexpr int kAddressWidth = 21;
constexpr int kStateWidth = 11;
constexpr int kPeerWidth = 37;
constexpr int kOverlayWidth = 6;
constexpr int kEncryptionWidth = 11;

// Labels are right-aligned so that the colons stand under each other.
void AppendLine(std::string& text, absl::string_view label, absl::string_view value) {
  absl::StrAppendFormat(&text, "%*s: %s\n", kLabelWidth, label, value);
}

// "2 established, 1 failed": those that are not zero.
std::string CountList(const std::vector<std::pair<absl::string_view, std::size_t>>& counts) {
  std::vector<std::string> parts;
  for (const auto& [word, count] : counts)
    if (count != 0) parts.push_back(absl::StrCat(count, " ", word));
  return absl::StrJoin(parts, ", ");
}

std::string ConnectionCounts(const MeshStatus& mesh) {
  using State = MeshStatus::ConnectionState;
  std::vector<std::pair<absl::string_view, std::size_t>> counts;
  for (const State state :
       {State::kEstablished, State::kPending, State::kRetrying, State::kFailed, State::kConnecting}) {
    const auto count = std::count_if(mesh.connections.begin(), mesh.connections.end(),
                                     [&](const MeshStatus::Connection& c) { return c.state == state; });
    counts.emplace_back(ToString(state), static_cast<std::size_t>(count));
  }
  const std::string list = CountList(counts);
  return absl::StrCat(mesh.connections.size(), list.empty() ? "" : absl::StrCat(" (", list, ")"));
}

std::string PeerCounts(const MeshStatus& mesh) {
  std::size_t established = 0;
  std::size_t pending = 0;
  for (const MeshStatus::Peer& peer : mesh.peers)
    for (const MeshStatus::Link& link : peer.connections) ++(link.established ? established : pending);
  const std::string list = CountList({{"established", established}, {"pending", pending}});
  return absl::StrCat(mesh.peers.size(), list.empty() ? "" : absl::StrCat(" (with ", list, " connections)"));
}

std::string SubnetList(const std::vector<Cidr>& subnets) {
  if (subnets.empty()) return "none";
  return absl::StrJoin(subnets, ", ", [](std::string* out, const Cidr& cidr) { out->append(cidr.ToString()); });
}

void AppendRouter(const MeshStatus& mesh, std::string& text) {
  AppendLine(text, "Service", "router");
  AppendLine(text, "Protocol",
             mesh.min_protocol_version == mesh.max_protocol_version
                 ? absl::StrCat("weave ", mesh.max_protocol_version)
                 : absl::StrCat("weave ", mesh.min_protocol_version, "..", mesh.max_protocol_version));
  AppendLine(text, "Name", NameAndNickname(mesh.name, mesh.nickname));
  AppendLine(text, "Encryption", mesh.has_password ? "enabled" : "disabled");
  AppendLine(text, "PeerDiscovery", mesh.peer_discovery ? "enabled" : "disabled");
  AppendLine(text, "Targets", absl::StrCat(mesh.targets.size()));
  AppendLine(text, "Connections", ConnectionCounts(mesh));
  AppendLine(text, "Peers", PeerCounts(mesh));
  AppendLine(text, "TrustedSubnets", SubnetList(mesh.trusted_subnets));
}

// As Go prints a time: `2026-11-21 23:00:52.647686131 +0000 UTC`.
std::string RetryTime(const std::optional<absl::Time>& time) {
  if (!time.has_value()) return "never";
  return absl::FormatTime("%Y-%m-%d %H:%M:%E*S +0000 UTC", *time, absl::UTCTimeZone());
}

void AppendIpam(const IpamStatus& ipam, std::string& text) {
  AppendLine(text, "Service", "ipam");
  AppendLine(text, "Status", IpamStatusText(ipam));
  AppendLine(text, "Range", ipam.range.ToString());
  AppendLine(text, "DefaultSubnet", ipam.default_subnet.ToString());
}

void AppendDns(const DnsView& dns, std::string& text) {
  AppendLine(text, "Service", "dns");
  AppendLine(text, "Domain", dns.domain);
  AppendLine(text, "Upstream", UpstreamText(dns));
  AppendLine(text, "TTL", absl::StrCat(dns.ttl_seconds));
  AppendLine(text, "Entries", absl::StrCat(CountAlive(dns.entries)));
}

void AppendPlugin(const PluginView& plugin, std::string& text) {
  AppendLine(text, "Service", plugin.managed ? "plugin (v2)" : "plugin (legacy)");
  if (!plugin.managed) AppendLine(text, "DriverName", PluginDriverName(plugin.socket));
}

// Nothing as long as all is as it should be: 2.8 has no such section.
void AppendHost(const StatusView& view, std::string& text) {
  if (view.host_error.empty() && view.bridge_type_reason.empty()) return;
  text += '\n';
  AppendLine(text, "Service", "host");
  if (!view.host_error.empty()) AppendLine(text, "Status", OneLine(view.host_error));
  if (view.bridge_type_reason.empty()) return;
  AppendLine(text, "BridgeType", absl::StrCat(view.bridge_type, " (", OneLine(view.bridge_type_reason), ")"));
}

}  // namespace

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
  return text;
}

std::string NameAndNickname(PeerName name, absl::string_view nickname) {
  return OneLine(absl::StrCat(name.ToString(), "(", nickname, ")"));
}

StatusView MakeStatusView(const PeerSnapshot& snapshot, MeshStatus mesh, absl::string_view version) {
  StatusView view;
  view.version = std::string(version);
  view.mesh = std::move(mesh);
  view.ipam = snapshot.ipam;
  if (!snapshot.host_error.ok()) view.host_error = std::string(snapshot.host_error.message());
  return view;
}

const char* ToString(MeshStatus::ConnectionState state) {
  switch (state) {
    case MeshStatus::ConnectionState::kPending:
      return "pending";
    case MeshStatus::ConnectionState::kEstablished:
      return "established";
    case MeshStatus::ConnectionState::kConnecting:
      return "connecting";
    case MeshStatus::ConnectionState::kRetrying:
      return "retrying";
    case MeshStatus::ConnectionState::kFailed:
      return "failed";
    case MeshStatus::ConnectionState::kWaiting:
      return "waiting";
  }
  return "unknown";
}

std::string ConnectionInfo(const MeshStatus::Connection& connection, bool has_password) {
  switch (connection.state) {
    case MeshStatus::ConnectionState::kPending:
    case MeshStatus::ConnectionState::kEstablished:
      break;
    case MeshStatus::ConnectionState::kConnecting:
      return "";
    case MeshStatus::ConnectionState::kRetrying:
      return std::string(connection.error.message());
    case MeshStatus::ConnectionState::kFailed:
      return absl::StrCat(connection.error.message(), ", retry: ", RetryTime(connection.retry_at));
    case MeshStatus::ConnectionState::kWaiting:
      return absl::StrCat("until: ", RetryTime(connection.retry_at));
  }
  const std::string& overlay = connection.overlay.name;
  std::string info = absl::StrFormat("%-*s %s", kOverlayWidth, overlay.empty() ? "none" : overlay,
                                     NameAndNickname(connection.remote, connection.remote_nickname));
  if (!has_password) return info;
  return absl::StrFormat("%-*s %s", kEncryptionWidth, connection.encrypted ? "encrypted" : "unencrypted", info);
}

std::map<std::string, std::string> ConnectionAttributes(const MeshStatus::Connection& connection) {
  std::map<std::string, std::string> attributes;
  if (!connection.IsLive() || connection.overlay.name.empty()) return attributes;
  attributes.insert(connection.overlay.attributes.begin(), connection.overlay.attributes.end());
  attributes["name"] = connection.overlay.name;
  if (connection.encrypted) attributes["encrypted"] = "true";
  return attributes;
}

std::string StatusPage(const StatusView& view) {
  std::string text;
  AppendLine(text, "Version", absl::StrCat(view.version, " (", kVersionCheckText, ")"));
  text += '\n';
  AppendRouter(view.mesh, text);
  if (view.ipam.has_value()) {
    text += '\n';
    AppendIpam(*view.ipam, text);
  }
  if (view.dns.has_value()) {
    text += '\n';
    AppendDns(*view.dns, text);
  }
  if (view.plugin.has_value()) {
    text += '\n';
    AppendPlugin(*view.plugin, text);
  }
  AppendHost(view, text);
  return text;
}

std::string TargetsPage(const StatusView& view) {
  std::string text;
  for (const std::string& target : view.mesh.targets) absl::StrAppend(&text, target, "\n");
  return text;
}

std::string ConnectionsPage(const StatusView& view) {
  std::string text;
  for (const MeshStatus::Connection& connection : view.mesh.connections) {
    absl::StrAppendFormat(&text, "%s %-*s %-*s %s ", connection.outbound ? "->" : "<-", kAddressWidth,
                          OneLine(connection.address), kStateWidth, ToString(connection.state),
                          OneLine(ConnectionInfo(connection, view.mesh.has_password)));
    // Nothing separates attributes: scripts know 2.8's lines as they are (contract A.22 no. 5).
    for (const auto& [key, value] : ConnectionAttributes(connection))
      if (key != "name") absl::StrAppend(&text, key, "=", OneLine(value));
    text += '\n';
  }
  return text;
}

std::string PeersPage(const StatusView& view) {
  std::string text;
  for (const MeshStatus::Peer& peer : view.mesh.peers) {
    absl::StrAppend(&text, NameAndNickname(peer.name, peer.nickname), "\n");
    for (const MeshStatus::Link& link : peer.connections) {
      absl::StrAppendFormat(&text, "   %s %-*s %-*s %s\n", link.outbound ? "->" : "<-", kAddressWidth,
                            OneLine(link.address), kPeerWidth, NameAndNickname(link.name, link.nickname),
                            link.established ? "established" : "pending");
    }
  }
  return text;
}

}  // namespace weave
