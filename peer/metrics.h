// The text of GET /metrics (Prometheus 0.0.4; docs/metrics.md lists every name): plain numbers in, text out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dns/os/dns_server.h"
#include "ipam/allocator.h"
#include "mesh/mesh_status.h"
#include "peer/data_path_thread.h"

namespace weave {

// This process as the kernel counts it.
struct ProcessStats {
  double cpu_seconds = 0;           // user and system
  std::uint64_t resident_size = 0;  // bytes
  std::uint64_t virtual_size = 0;   // bytes
  std::uint64_t open_fd_count = 0;
  std::uint64_t max_fd_count = 0;  // the soft limit; 0: unlimited
  double start_time_seconds = 0;   // since the Unix epoch
};

// Reads `proc`/self and `proc`/stat; `proc` is "/proc" outside tests. Any thread. Errors name the file.
absl::StatusOr<ProcessStats> ReadProcessStats(const std::string& proc);

struct DnsMetrics {
  std::uint64_t own_entry_count = 0;  // alive
  DnsServerStats server;
};

// What a page is made of, sampled together. Counters only grow during the life of the process.
struct MetricsView {
  std::string version;
  bool host_sync_ok = false;  // bridge and rules are as they should be
  std::string bridge_type;    // `bridge`, `bridged_fastdp` or `fastdp`; empty: left out
  std::uint64_t endpoint_count = 0;
  std::uint64_t exposure_count = 0;
  std::vector<MeshStatus::Connection> connections;
  std::uint64_t connection_termination_count = 0;
  std::optional<IpamStatus> ipam;            // absent: no allocator, its series are left out (contract A6-23)
  std::uint64_t claimed_address_count = 0;   // found in use
  std::uint64_t released_address_count = 0;  // on no interface any more
  std::optional<DnsMetrics> dns;             // absent: --no-dns
  std::uint64_t loop_slow_turn_count = 0;
  std::uint64_t firewall_reapplied_count = 0;
  std::uint64_t store_commit_count = 0;
  std::uint64_t store_commit_failure_count = 0;
  DataPathStats data_path;
  std::optional<ProcessStats> process;  // absent: could not be read, its series are left out
};

// Media type of MetricsPage.
inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

std::string MetricsPage(const MetricsView& view);

}  // namespace weave
