#include "peer/status_pages.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace weave {
namespace {

constexpr int kLabelWidth = 15;
constexpr int kAddressWidth = 21;
constexpr int kStateWidth = 11;
constexpr int kPeerWidth = 37;

// Labels are right-aligned so that the colons stand under each other.
void AppendLine(std::string& text, absl::string_view label, absl::string_view value) {
  absl::StrAppendFormat(&text, "%*s: %s\n", kLabelWidth, label, value);
}

std::string NameAndNickname(PeerName name, absl::string_view nickname) {
  return absl::StrCat(name.ToString(), "(", nickname, ")");
}

std::string OneLine(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return absl::ascii_iscntrl(c); }, ' ');
  return text;
}

// "2 established, 1 failed": those that are not zero.
std::string CountList(const std::vector<std::pair<absl::string_view, std::size_t>>& counts) {
  std::vector<std::string> parts;
  for (const auto& [word, count] : counts)
    if (count != 0) parts.push_back(absl::StrCat(count, " ", word));
  return absl::StrJoin(parts, ", ");
}

std::string ConnectionCounts(const StatusView& view) {
  constexpr std::array<absl::string_view, 5> kStates = {"established", "pending", "retrying", "failed", "connecting"};
  std::vector<std::pair<absl::string_view, std::size_t>> counts;
  for (absl::string_view state : kStates) {
    const auto count = std::count_if(view.connections.begin(), view.connections.end(),
                                     [&](const StatusView::Connection& c) { return c.state == state; });
    counts.emplace_back(state, static_cast<std::size_t>(count));
  }
  const std::string list = CountList(counts);
  return absl::StrCat(view.connections.size(), list.empty() ? "" : absl::StrCat(" (", list, ")"));
}

std::string PeerCounts(const StatusView& view) {
  std::size_t established = 0;
  std::size_t pending = 0;
  for (const StatusView::Peer& peer : view.peers)
    for (const StatusView::Peer::Link& link : peer.links) ++(link.established ? established : pending);
  const std::string list = CountList({{"established", established}, {"pending", pending}});
  return absl::StrCat(view.peers.size(), list.empty() ? "" : absl::StrCat(" (with ", list, " connections)"));
}

std::string SubnetList(const std::vector<Cidr>& subnets) {
  if (subnets.empty()) return "none";
  return absl::StrJoin(subnets, ", ", [](std::string* out, const Cidr& cidr) { out->append(cidr.ToString()); });
}

void AppendRouter(const StatusView& view, std::string& text) {
  AppendLine(text, "Service", "router");
  AppendLine(text, "Protocol",
             view.min_protocol_version == view.max_protocol_version
                 ? absl::StrCat("weave ", view.max_protocol_version)
                 : absl::StrCat("weave ", view.min_protocol_version, "..", view.max_protocol_version));
  AppendLine(text, "Name", NameAndNickname(view.name, view.nickname));
  AppendLine(text, "Encryption", view.encryption ? "enabled" : "disabled");
  AppendLine(text, "PeerDiscovery", view.peer_discovery ? "enabled" : "disabled");
  AppendLine(text, "Targets", absl::StrCat(view.targets.size()));
  AppendLine(text, "Connections", ConnectionCounts(view));
  AppendLine(text, "Peers", PeerCounts(view));
  AppendLine(text, "TrustedSubnets", SubnetList(view.trusted_subnets));
}

}  // namespace

StatusView MakeStatusView(const PeerSnapshot& snapshot, const WeaverOptions& options, absl::string_view version) {
  StatusView view;
  view.version = std::string(version);
  view.min_protocol_version = options.min_protocol_version;
  view.name = snapshot.name;
  view.nickname = snapshot.nickname;
  view.encryption = !options.password.empty();
  view.peer_discovery = !options.no_discovery;
  view.peers = {{snapshot.name, snapshot.nickname, {}}};
  view.trusted_subnets = options.trusted_subnets;
  if (!snapshot.host_error.ok()) view.host_error = std::string(snapshot.host_error.message());
  return view;
}

std::string StatusPage(const StatusView& view) {
  std::string text;
  // We never ask anybody for newer versions; these are 2.8's words for that.
  AppendLine(text, "Version", absl::StrCat(view.version, " (version check update disabled)"));
  text += '\n';
  AppendRouter(view, text);
  if (!view.host_error.empty()) {
    text += '\n';
    AppendLine(text, "Service", "host");
    AppendLine(text, "Status", OneLine(view.host_error));
  }
  return text;
}

std::string TargetsPage(const StatusView& view) {
  std::string text;
  for (const std::string& target : view.targets) absl::StrAppend(&text, target, "\n");
  return text;
}

std::string ConnectionsPage(const StatusView& view) {
  std::string text;
  for (const StatusView::Connection& connection : view.connections) {
    absl::StrAppendFormat(&text, "%s %-*s %-*s %s ", connection.outbound ? "->" : "<-", kAddressWidth,
                          connection.address, kStateWidth, connection.state, OneLine(connection.info));
    // Nothing separates attributes: scripts know 2.8's lines as they are (contract A.22 no. 5).
    for (const auto& [key, value] : connection.attributes)
      if (key != "name") absl::StrAppend(&text, key, "=", value);
    text += '\n';
  }
  return text;
}

std::string PeersPage(const StatusView& view) {
  std::string text;
  for (const StatusView::Peer& peer : view.peers) {
    absl::StrAppend(&text, NameAndNickname(peer.name, peer.nickname), "\n");
    for (const StatusView::Peer::Link& link : peer.links) {
      absl::StrAppendFormat(&text, "   %s %-*s %-*s %s\n", link.outbound ? "->" : "<-", kAddressWidth, link.address,
                            kPeerWidth, NameAndNickname(link.name, link.nickname),
                            link.established ? "established" : "pending");
    }
  }
  return text;
}

}  // namespace weave
