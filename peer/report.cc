#include "peer/report.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "peer/ipam_pages.h"
#include "peer/report_template.h"
#include "peer/status_pages.h"

namespace weave {
namespace {

using Value = ReportValue;

// The list of what `make` makes of each element.
template <typename Elements, typename Make>
Value::List ListOf(const Elements& elements, Make make) {
  Value::List list;
  list.reserve(elements.size());
  for (const auto& element : elements) list.push_back(make(element));
  return list;
}

Value NameValue(PeerName name) { return Value::String(name.ToString()); }

// We never ask anybody for newer versions; these are 2.8's words for that.
Value VersionCheck() {
  const Value never = Value::MakeStruct({}, "0001-01-01 00:00:00 +0000 UTC", "0001-01-01T00:00:00Z");
  return Value::MakeStruct({{"Enabled", Value::Bool(false)},
                            {"Success", Value::Bool(false)},
                            {"NewVersion", Value::String("")},
                            {"NextCheckAt", never}},
                           kVersionCheckText);
}

Value LinkValue(const MeshStatus::Link& link) {
  return Value::MakeStruct({{"Name", NameValue(link.name)},
                            {"NickName", Value::String(link.nickname)},
                            {"Address", Value::String(link.address)},
                            {"Outbound", Value::Bool(link.outbound)},
                            {"Established", Value::Bool(link.established)}});
}

Value PeerValue(const MeshStatus::Peer& peer) {
  return Value::MakeStruct({{"Name", NameValue(peer.name)},
                            {"NickName", Value::String(peer.nickname)},
                            {"UID", Value::Uint(peer.uid)},
                            {"ShortID", Value::Uint(peer.short_id.value_or(0))},
                            {"Version", Value::Uint(peer.version)},
                            {"Connections", Value::ListOrNull(ListOf(peer.connections, LinkValue))}});
}

Value UnicastRouteValue(const MeshStatus::UnicastRoute& route) {
  return Value::MakeStruct({{"Dest", NameValue(route.destination)}, {"Via", NameValue(route.via)}});
}

Value BroadcastRouteValue(const MeshStatus::BroadcastRoute& route) {
  return Value::MakeStruct(
      {{"Source", NameValue(route.source)}, {"Via", Value::ListOrNull(ListOf(route.via, NameValue))}});
}

// Numbers and bools are such in JSON, too.
Value AttributeValue(const std::string& text) {
  std::int64_t number = 0;
  if (text == "true" || text == "false") return Value::Bool(text == "true");
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (digits && absl::SimpleAtoi(text, &number)) return Value::Int(number);
  return Value::String(text);
}

Value ConnectionValue(const MeshStatus::Connection& connection, bool has_password) {
  Value::Map attributes;
  for (const auto& [key, text] : ConnectionAttributes(connection)) attributes.emplace(key, AttributeValue(text));
  return Value::MakeStruct({{"Address", Value::String(connection.address)},
                            {"Outbound", Value::Bool(connection.outbound)},
                            {"State", Value::String(ToString(connection.state))},
                            {"Info", Value::String(ConnectionInfo(connection, has_password))},
                            {"Attrs", attributes.empty() ? Value::NullMap() : Value::MakeMap(std::move(attributes))}});
}

// Overlays have nothing to say about themselves yet.
Value OverlayDiagnostics(const std::vector<std::string>& overlays) {
  Value::Map diagnostics;
  for (const std::string& overlay : overlays) diagnostics.emplace(overlay, Value());
  return overlays.empty() ? Value() : Value::MakeMap(std::move(diagnostics));
}

// As Go prints a time, and as it marshals one.
Value TimeValue(absl::Time time) {
  const absl::TimeZone utc = absl::UTCTimeZone();
  return Value::MakeStruct({}, absl::FormatTime("%Y-%m-%d %H:%M:%E*S +0000 UTC", time, utc),
                           absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, utc));
}

Value MacValue(const DataPathView::Mac& mac) {
  return Value::MakeStruct({{"Mac", Value::String(mac.mac.ToString())},
                            {"Name", Value::String(mac.name.ToString())},
                            {"NickName", Value::String(mac.nickname)},
                            {"LastSeen", TimeValue(mac.last_seen)}});
}

Value CaptureStats(const DataPathView& data_path) {
  if (data_path.interface.empty()) return Value::NullMap();
  Value::Map stats;
  if (data_path.flow_misses.has_value()) {
    stats.emplace("FlowMisses", Value::Uint(*data_path.flow_misses));
    return Value::MakeMap(std::move(stats));
  }
  stats.emplace("PacketsReceived", Value::Uint(data_path.frames_received));
  stats.emplace("PacketsDropped", Value::Uint(data_path.frames_dropped));
  stats.emplace("PacketsIfDropped", Value::Uint(0));  // of hardware; there is none behind a veth
  return Value::MakeMap(std::move(stats));
}

std::string InterfaceText(const DataPathView& data_path) {
  if (data_path.interface.empty()) return "no overlay bridge";
  return absl::StrCat(data_path.interface, data_path.flow_misses.has_value() ? " (via ODP)" : " (via pcap)");
}

Value RouterValue(const MeshStatus& mesh, const DataPathView& data_path) {
  const auto connection = [&](const MeshStatus::Connection& c) { return ConnectionValue(c, mesh.has_password); };
  const auto text = [](const std::string& s) { return Value::String(s); };
  const auto subnet = [](const Cidr& cidr) { return Value::String(cidr.ToString()); };
  return Value::MakeStruct({
      {"Protocol", Value::String("weave")},
      {"ProtocolMinVersion", Value::Int(mesh.min_protocol_version)},
      {"ProtocolMaxVersion", Value::Int(mesh.max_protocol_version)},
      {"Encryption", Value::Bool(mesh.has_password)},
      {"PeerDiscovery", Value::Bool(mesh.peer_discovery)},
      {"Name", NameValue(mesh.name)},
      {"NickName", Value::String(mesh.nickname)},
      {"Port", Value::Int(mesh.port)},
      {"Peers", Value::ListOrNull(ListOf(mesh.peers, PeerValue))},
      {"UnicastRoutes", Value::ListOrNull(ListOf(mesh.unicast_routes, UnicastRouteValue))},
      {"BroadcastRoutes", Value::ListOrNull(ListOf(mesh.broadcast_routes, BroadcastRouteValue))},
      {"Connections", Value::ListOrNull(ListOf(mesh.connections, connection))},
      {"TerminationCount", Value::Uint(mesh.termination_count)},
      {"Targets", Value::ListOrNull(ListOf(mesh.targets, text))},
      {"OverlayDiagnostics", OverlayDiagnostics(mesh.overlays)},
      {"TrustedSubnets", Value::MakeList(ListOf(mesh.trusted_subnets, subnet))},
      {"Interface", Value::String(InterfaceText(data_path))},
      {"CaptureStats", CaptureStats(data_path)},
      {"MACs", Value::ListOrNull(ListOf(data_path.macs, MacValue))},
  });
}

}  // namespace

ReportValue MakeReport(const ReportView& view) {
  return Value::MakeStruct({
      {"Ready", Value::Bool(view.ready)},
      {"Version", Value::String(view.version)},
      {"VersionCheck", VersionCheck()},
      {"Router", view.mesh.has_value() ? RouterValue(*view.mesh, view.data_path) : Value::Absent()},
      {"IPAM", view.ipam.has_value() ? IpamValue(*view.ipam) : Value::Absent()},
      {"DNS", view.dns.has_value() ? DnsReport(*view.dns) : Value::Absent()},
      {"Proxy", Value::Absent()},
      {"Plugin", view.plugin.has_value() ? PluginValue(*view.plugin) : Value::Absent()},
  });
}

absl::StatusOr<std::string> RenderReport(const ReportView& view, const std::optional<std::string>& format) {
  const ReportValue report = MakeReport(view);
  return format.has_value() ? RenderTemplate(*format, report) : report.ToIndentedJson();
}

}  // namespace weave
