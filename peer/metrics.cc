#include "peer/metrics.h"

#include <dirent.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/status.h"
#include "peer/ipam_pages.h"
#include "peer/status_pages.h"

namespace weave {
namespace {

using Labels = std::vector<prometheus::ClientMetric::Label>;

// proc(5), /proc/[pid]/stat: fields are counted from 1, those used here follow the name in parentheses.
constexpr std::size_t kUserTicksField = 14;
constexpr std::size_t kSystemTicksField = 15;
constexpr std::size_t kStartTicksField = 22;
constexpr std::size_t kVirtualSizeField = 23;
constexpr std::size_t kResidentPagesField = 24;
constexpr std::size_t kFirstFieldAfterName = 3;

absl::StatusOr<std::string> ReadProcFile(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || text.str().empty()) return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  return text.str();
}

absl::Status ReadStat(const std::string& path, double boot_time_seconds, ProcessStats& stats) {
  ASSIGN_OR_RETURN(const std::string text, ReadProcFile(path));
  // The name may hold blanks and parentheses; the last one closes it.
  const std::size_t name_end = text.rfind(") ");
  if (name_end == std::string::npos) return absl::DataLossError(absl::StrCat(path, ": no process name in it"));
  const std::vector<absl::string_view> fields =
      absl::StrSplit(absl::string_view(text).substr(name_end + 2), absl::ByAnyChar(" \n"), absl::SkipEmpty());
  const auto field = [&](std::size_t number) -> std::uint64_t {
    std::uint64_t value = 0;
    const std::size_t index = number - kFirstFieldAfterName;
    if (index >= fields.size() || !absl::SimpleAtoi(fields[index], &value)) return 0;
    return value;
  };
  const double ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  stats.cpu_seconds = static_cast<double>(field(kUserTicksField) + field(kSystemTicksField)) / ticks_per_second;
  stats.start_time_seconds = boot_time_seconds + static_cast<double>(field(kStartTicksField)) / ticks_per_second;
  stats.virtual_size = field(kVirtualSizeField);
  stats.resident_size = field(kResidentPagesField) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return absl::OkStatus();
}

// The number in the line of `path` that starts with `label`; 0 where the line says something else ("unlimited").
absl::StatusOr<std::uint64_t> ReadLabelled(const std::string& path, absl::string_view label) {
  ASSIGN_OR_RETURN(const std::string text, ReadProcFile(path));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.substr(0, label.size()) != label) continue;
    const std::vector<absl::string_view> words =
        absl::StrSplit(line.substr(label.size()), absl::ByAnyChar(" \t"), absl::SkipEmpty());
    std::uint64_t value = 0;
    if (words.empty() || !absl::SimpleAtoi(words.front(), &value)) return 0;
    return value;
  }
  return absl::DataLossError(absl::StrCat(path, ": no line \"", label, "\""));
}

absl::StatusOr<std::uint64_t> CountDescriptors(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
  if (directory == nullptr) return absl::UnavailableError(absl::StrCat(path, ": cannot be read"));
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(directory.get()))
    if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) != 0) ++count;
  // The directory itself is open while we count.
  return count > 0 ? count - 1 : 0;
}

// Families in the order of docs/metrics.md; most have one series.
class Page {
 public:
  void Counter(const char* name, const char* help, double value) {
    Add(name, help, prometheus::MetricType::Counter, {}).counter.value = value;
  }

  void Gauge(const char* name, const char* help, double value, Labels labels = {}) {
    Add(name, help, prometheus::MetricType::Gauge, std::move(labels)).gauge.value = value;
  }

  // A family without series prints nothing.
  void Gauges(const char* name, const char* help, const std::vector<std::pair<Labels, double>>& series) {
    for (const auto& [labels, value] : series)
      Series(name, help, prometheus::MetricType::Gauge, labels).gauge.value = value;
  }

  // One series for each value of the label.
  void Counters(const char* name, const char* help, const char* label,
                const std::vector<std::pair<const char*, std::uint64_t>>& series) {
    for (const auto& [of, value] : series)
      Series(name, help, prometheus::MetricType::Counter, {{label, of}}).counter.value = static_cast<double>(value);
  }

  std::string Text() const { return prometheus::TextSerializer().Serialize(families_); }

 private:
  // Of the family added last, or of a new one.
  prometheus::ClientMetric& Series(const char* name, const char* help, prometheus::MetricType type, Labels labels) {
    if (families_.empty() || families_.back().name != name) return Add(name, help, type, std::move(labels));
    prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  prometheus::ClientMetric& Add(const char* name, const char* help, prometheus::MetricType type, Labels labels) {
    prometheus::MetricFamily& family = families_.emplace_back();
    family.name = name;
    family.help = help;
    family.type = type;
    prometheus::ClientMetric& metric = family.metric.emplace_back();
    metric.label = std::move(labels);
    return metric;
  }

  std::vector<prometheus::MetricFamily> families_;
};

// For each state and overlay that occurs both encryptions, as 2.8 (spec/control.md section 5); in order of labels.
void AddConnections(const std::vector<MeshStatus::Connection>& connections, Page& page) {
  std::map<std::array<std::string, 3>, double> counts;  // by encryption, state, type
  for (const MeshStatus::Connection& connection : connections) {
    const std::map<std::string, std::string> attributes = ConnectionAttributes(connection);
    const auto name = attributes.find("name");
    const std::string type = name == attributes.end() ? "unknown" : name->second;
    const std::string encryption = attributes.count("encrypted") > 0 ? "yes" : "";
    for (const char* either : {"", "yes"}) counts[{either, ToString(connection.state), type}] += encryption == either;
  }
  std::vector<std::pair<Labels, double>> series;
  for (const auto& [key, count] : counts)
    series.emplace_back(Labels{{"encryption", key[0]}, {"state", key[1]}, {"type", key[2]}}, count);
  page.Gauges("weave_connections", "Number of peer-to-peer connections.", series);
}

void AddIpam(const IpamStatus& ipam, Page& page) {
  const IpamUnreachable unreachable = CountUnreachable(ipam);
  page.Gauge("weave_ips", "Number of IP addresses.", static_cast<double>(ipam.active_count), {{"state", "local-used"}});
  page.Gauge("weave_max_ips", "Size of IP address space used by allocator.",
             static_cast<double>(ipam.range.Range().size));
  page.Gauge("weave_ipam_unreachable_count", "Number of unreachable peers.", static_cast<double>(unreachable.count));
  page.Gauge("weave_ipam_unreachable_percentage", "Percentage of IP addresses owned by unreachable peers.",
             unreachable.percentage);
  page.Gauge("weave_ipam_pending_allocates", "Number of pending allocates.",
             static_cast<double>(ipam.pending_allocations.size()));
  page.Gauge("weave_ipam_pending_claims", "Number of pending claims.", static_cast<double>(ipam.pending_claims.size()));
  page.Gauge("weave_ipam_conflicts", "Addresses in use here that another peer owns.",
             static_cast<double>(ipam.strays.size()));
  if (ipam.reachable_voter_count + ipam.unreachable_voter_count == 0) return;
  page.Gauges("weave_ipam_voters", "Peers that vote on who takes over what a dead peer owned.",
              {{{{"state", "reachable"}}, static_cast<double>(ipam.reachable_voter_count)},
               {{{"state", "unreachable"}}, static_cast<double>(ipam.unreachable_voter_count)}});
  page.Gauge("weave_ipam_quorum", "Whether the voters that can be reached are enough for a takeover.",
             ipam.quorum ? 1 : 0);
}

void AddDns(const DnsMetrics& dns, Page& page) {
  page.Gauge("weave_dns_entries", "Number of DNS entries.", static_cast<double>(dns.own_entry_count));
  page.Counter("weave_dns_queries_total", "Queries received.", static_cast<double>(dns.server.query_count));
  page.Counter("weave_dns_forwarded_total", "Queries that other name servers were asked.",
               static_cast<double>(dns.server.forwarded_count));
  page.Counter("weave_dns_refused_total", "Queries for other name servers that came from strangers or were too many.",
               static_cast<double>(dns.server.refused_count));
}

void AddPeer(const MetricsView& view, Page& page) {
  page.Gauge("weave_build_info", "1, labelled with the version of this peer.", 1, {{"version", view.version}});
  AddConnections(view.connections, page);
  page.Counter("weave_connection_terminations_total", "Number of peer-to-peer connections terminated.",
               static_cast<double>(view.connection_termination_count));
  if (view.ipam.has_value()) {
    AddIpam(*view.ipam, page);
    page.Counter("weave_ipam_found_in_use_total", "Addresses that were in use on this host and on no record.",
                 static_cast<double>(view.claimed_address_count));
    page.Counter("weave_ipam_found_unused_total", "Addresses released because no interface of this host had them.",
                 static_cast<double>(view.released_address_count));
  }
  if (view.dns.has_value()) AddDns(*view.dns, page);
  if (!view.bridge_type.empty())
    page.Gauge("weave_bridge_type", "1, labelled with the type of this host's bridge.", 1,
               {{"type", view.bridge_type}});
  page.Gauge("weave_endpoints", "Number of attached containers.", static_cast<double>(view.endpoint_count));
  page.Gauge("weave_exposures", "Number of addresses the host has in the network.",
             static_cast<double>(view.exposure_count));
  page.Gauge("weave_host_sync_ok", "1 while bridge and packet filter are as they should be, else 0.",
             view.host_sync_ok ? 1 : 0);
  page.Counter("weave_firewall_reapplied_total", "Times the packet filter was repaired after something changed it.",
               static_cast<double>(view.firewall_reapplied_count));
  page.Counter("weave_loop_slow_turns_total", "Turns of the event loop that took over 100 ms.",
               static_cast<double>(view.loop_slow_turn_count));
  page.Counter("weave_store_commits_total", "Transactions made durable.", static_cast<double>(view.store_commit_count));
  page.Counter("weave_store_commit_failures_total", "Changes of records that could not be written.",
               static_cast<double>(view.store_commit_failure_count));
}

void AddDatapath(const DataPathStats& stats, Page& page) {
  const DatapathCounters& counters = stats.datapath;
  page.Gauge("weave_flows", "Flows of the kernel's datapath.", static_cast<double>(stats.flow_count));
  page.Counters("weave_flow_changes_total", "What became of flows.", "change",
                {{"changed", counters.flows_changed},
                 {"deleted", counters.flows_deleted},
                 {"idle", counters.flows_idle},
                 {"made", counters.flows_made}});
  page.Counters("weave_misses_total", "Packets that no flow of the datapath matched.", "outcome",
                {{"by_sleeve", counters.by_user_space},
                 {"hairpin", counters.hairpins},
                 {"handled", counters.misses},
                 {"lost", stats.upcalls.lost},
                 {"malformed", stats.upcalls.malformed},
                 {"no_way", counters.no_way},
                 {"refused", counters.failures},
                 {"unknown_peer", counters.unknown_peers},
                 {"unknown_port", counters.unknown_ports}});
  page.Counter("weave_fastdp_fragmented_total", "Frames that had to be cut for a tunnel.",
               static_cast<double>(counters.fragmented));
  page.Counter("weave_fastdp_heartbeats_total", "Heartbeats that tunnels brought.",
               static_cast<double>(counters.heartbeats));
}

void AddFrames(const DataPathStats& stats, Page& page) {
  const SleeveCounters& forwarder = stats.sleeve;
  const PacketRouterCounters& router = stats.router;
  page.Counters("weave_frames_total", "Frames that passed the data path.", "way",
                {{"captured", forwarder.frames_captured},
                 {"injected", forwarder.frames_injected},
                 {"received", forwarder.frames_received},
                 {"sent", forwarder.frames_sent}});
  page.Counters("weave_frame_drops_total", "Frames that went nowhere.", "reason",
                {{"bad", forwarder.bad_frames + router.without_header},
                 {"capture_buffer", stats.tap.dropped},
                 {"foreign_source", router.foreign_sources},
                 {"injection", stats.tap.injection_failures},
                 {"no_path", forwarder.no_path},
                 {"returned", router.returned},
                 {"stray", router.strays + stats.datapath.strays},
                 {"too_big", forwarder.too_big + stats.datapath.too_big},
                 {"too_big_broadcast", forwarder.too_big_broadcasts + stats.datapath.too_big_broadcasts},
                 {"unroutable", router.unroutable}});
  page.Counters("weave_sleeve_datagrams_total", "Datagrams of sleeve.", "way",
                {{"received", forwarder.datagrams_received}, {"sent", forwarder.datagrams_sent}});
  page.Counters("weave_sleeve_datagram_drops_total", "Datagrams of sleeve that were not taken or not sent.", "reason",
                {{"forged", forwarder.forged},
                 {"malformed", forwarder.malformed},
                 {"replayed", forwarder.replayed},
                 {"send", stats.udp.send_failures},
                 {"unknown_sender", forwarder.unknown_senders}});
  page.Counter("weave_fragmentation_needed_total", "Senders told that their packets are too large for the path.",
               static_cast<double>(forwarder.icmp_sent + stats.datapath.icmp_sent));
  page.Gauge("weave_macs", "MAC addresses whose peer is known.", static_cast<double>(stats.macs.size()));
}

void AddProcess(const ProcessStats& stats, Page& page) {
  page.Counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", stats.cpu_seconds);
  page.Gauge("process_open_fds", "Number of open file descriptors.", static_cast<double>(stats.open_fd_count));
  page.Gauge("process_max_fds", "Maximum number of open file descriptors.", static_cast<double>(stats.max_fd_count));
  page.Gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", static_cast<double>(stats.virtual_size));
  page.Gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
             static_cast<double>(stats.resident_size));
  page.Gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
             stats.start_time_seconds);
}

}  // namespace

absl::StatusOr<ProcessStats> ReadProcessStats(const std::string& proc) {
  ProcessStats stats;
  ASSIGN_OR_RETURN(const std::uint64_t boot_time, ReadLabelled(absl::StrCat(proc, "/stat"), "btime"));
  RETURN_IF_ERROR(ReadStat(absl::StrCat(proc, "/self/stat"), static_cast<double>(boot_time), stats));
  ASSIGN_OR_RETURN(stats.open_fd_count, CountDescriptors(absl::StrCat(proc, "/self/fd")));
  ASSIGN_OR_RETURN(stats.max_fd_count, ReadLabelled(absl::StrCat(proc, "/self/limits"), "Max open files"));
  return stats;
}

std::string MetricsPage(const MetricsView& view) {
  Page page;
  AddPeer(view, page);
  AddFrames(view.data_path, page);
  if (view.data_path.has_datapath) AddDatapath(view.data_path, page);
  if (view.process.has_value()) AddProcess(*view.process, page);
  return page.Text();
}

}  // namespace weave
