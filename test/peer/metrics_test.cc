#include "peer/metrics.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "test/peer/mesh_examples.h"
#include "test/support/catch.h"

namespace weave {
namespace {

class TempDir {
 public:
  TempDir() : path_((std::filesystem::temp_directory_path() / "weave-metrics-XXXXXX").string()) {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

  void Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

 private:
  std::string path_;
};

// A /proc of a process called "a) b (", started 5 s after boot, with three descriptors.
void WriteProc(const TempDir& proc) {
  const long ticks = ::sysconf(_SC_CLK_TCK);
  proc.Write("stat", "cpu 1 2 3\nbtime 1000\nprocesses 7\n");
  proc.Write("self/stat", absl::StrCat("42 (a) b () S 1 2 3 4 5 6 7 8 9 10 ", 2 * ticks, " ", ticks, " 0 0 20 0 1 0 ",
                                       5 * ticks, " 8192 3 18446744073709551615\n"));
  proc.Write("self/limits",
             "Limit                     Soft Limit           Hard Limit           Units\n"
             "Max open files            1024                 4096                 files\n");
  for (const char* fd : {"self/fd/0", "self/fd/1", "self/fd/2", "self/fd/3"}) proc.Write(fd, "");
}

bool HasLine(const std::string& page, const std::string& line) {
  const std::vector<std::string> lines = absl::StrSplit(page, '\n');
  return std::find(lines.begin(), lines.end(), line) != lines.end();
}

void CheckLines(const std::string& page, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    INFO(line);
    CHECK(HasLine(page, line));
  }
}

TEST_CASE("The page states what is true now, and nothing of parts that are off", "[peer][metrics]") {
  MetricsView view;
  view.version = "3.0.0";
  view.host_sync_ok = true;
  view.bridge_type = "bridged_fastdp";
  view.endpoint_count = 3;
  view.exposure_count = 2;
  view.loop_slow_turn_count = 4;
  view.firewall_reapplied_count = 5;
  view.store_commit_count = 1'000'000'000;
  view.store_commit_failure_count = 7;
  const std::string page = MetricsPage(view);
  CheckLines(page, {"weave_build_info{version=\"3.0.0\"} 1", "weave_bridge_type{type=\"bridged_fastdp\"} 1",
                    "# TYPE weave_endpoints gauge", "weave_endpoints 3", "weave_exposures 2", "weave_host_sync_ok 1",
                    "# TYPE weave_loop_slow_turns_total counter", "weave_loop_slow_turns_total 4",
                    "weave_firewall_reapplied_total 5", "weave_store_commits_total 1000000000",
                    "weave_store_commit_failures_total 7", "weave_connection_terminations_total 0"});
  for (const char* absent :
       {"weave_connections{", "weave_ips", "weave_max_ips", "weave_ipam_", "weave_dns_", "weave_flows", "process_"})
    CHECK(page.find(absent) == std::string::npos);
  CHECK(page.back() == '\n');
}

TEST_CASE("Connections are counted by state, overlay and encryption, both of which are always given",
          "[peer][metrics]") {
  using State = MeshStatus::ConnectionState;
  MetricsView view;
  view.connection_termination_count = 7;
  view.connections = {Live(2, State::kEstablished), Live(3, State::kEstablished), Live(4, State::kEstablished),
                      Live(5, State::kPending), Target("host6", State::kFailed)};
  for (int i = 0; i < 3; ++i) view.connections[static_cast<std::size_t>(i)].overlay = {"sleeve", {{"mtu", "1438"}}};
  view.connections[0].encrypted = true;
  const std::string page = MetricsPage(view);
  const std::size_t begin = page.find("# HELP weave_connections ");
  CHECK(page.substr(begin, page.find("# HELP weave_connection_terminations_total") - begin) ==
        "# HELP weave_connections Number of peer-to-peer connections.\n"
        "# TYPE weave_connections gauge\n"
        "weave_connections{encryption=\"\",state=\"established\",type=\"sleeve\"} 2\n"
        "weave_connections{encryption=\"\",state=\"failed\",type=\"unknown\"} 1\n"
        "weave_connections{encryption=\"\",state=\"pending\",type=\"unknown\"} 1\n"
        "weave_connections{encryption=\"yes\",state=\"established\",type=\"sleeve\"} 1\n"
        "weave_connections{encryption=\"yes\",state=\"failed\",type=\"unknown\"} 0\n"
        "weave_connections{encryption=\"yes\",state=\"pending\",type=\"unknown\"} 0\n");
  CHECK(HasLine(page, "weave_connection_terminations_total 7"));
}

TEST_CASE("A version with quotes stays one label", "[peer][metrics]") {
  MetricsView view;
  view.version = "3\"\n\\";
  CHECK(HasLine(MetricsPage(view), "weave_build_info{version=\"3\\\"\\n\\\\\"} 1"));
}

TEST_CASE("Every series has help text, a type and a place in the document", "[peer][metrics]") {
  MetricsView view;
  view.process = ProcessStats();
  view.connections = {Target("host2", MeshStatus::ConnectionState::kFailed)};
  std::ifstream file(WEAVE_SOURCE_DIR "/docs/metrics.md");
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  REQUIRE_FALSE(document.empty());
  const std::string page = MetricsPage(view);
  int count = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(page, '\n'))) {
    if (line.empty() || line[0] == '#') continue;
    const std::string name = line.substr(0, line.find_first_of("{ "));
    INFO(name);
    CHECK(page.find(absl::StrCat("# HELP ", name, " ")) != std::string::npos);
    CHECK(page.find(absl::StrCat("# TYPE ", name, " ")) != std::string::npos);
    CHECK(document.find(absl::StrCat("`", name)) != std::string::npos);
    ++count;
  }
  CHECK(count == 40);
}

TEST_CASE("Process figures come from proc, whatever the process is called", "[peer][metrics]") {
  const TempDir proc;
  WriteProc(proc);
  const absl::StatusOr<ProcessStats> stats = ReadProcessStats(proc.path());
  REQUIRE(stats.ok());
  CHECK(stats->cpu_seconds == 3);
  CHECK(stats->start_time_seconds == 1005);
  CHECK(stats->virtual_size == 8192);
  CHECK(stats->resident_size == 3 * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)));
  CHECK(stats->open_fd_count == 3);
  CHECK(stats->max_fd_count == 1024);

  MetricsView view;
  view.process = *stats;
  const std::string page = MetricsPage(view);
  CheckLines(page, {"# TYPE process_cpu_seconds_total counter", "process_cpu_seconds_total 3", "process_open_fds 3",
                    "process_max_fds 1024", "process_virtual_memory_bytes 8192", "process_start_time_seconds 1005"});
}

TEST_CASE("This process is plausible to itself", "[peer][metrics]") {
  const absl::StatusOr<ProcessStats> before = ReadProcessStats("/proc");
  REQUIRE(before.ok());
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const absl::StatusOr<ProcessStats> after = ReadProcessStats("/proc");
  ::close(fd);
  REQUIRE(after.ok());
  CHECK(after->open_fd_count == before->open_fd_count + 1);
  CHECK(after->resident_size > 100'000);
  CHECK(after->virtual_size >= after->resident_size);
  CHECK(after->start_time_seconds <= static_cast<double>(std::time(nullptr)) + 2);
  CHECK(after->start_time_seconds > static_cast<double>(std::time(nullptr)) - 3600);
}

TEST_CASE("An unlimited number of descriptors is zero", "[peer][metrics]") {
  const TempDir proc;
  WriteProc(proc);
  proc.Write("self/limits", "Max open files            unlimited            unlimited            files\n");
  CHECK(ReadProcessStats(proc.path())->max_fd_count == 0);
}

TEST_CASE("A proc that is absent or damaged is an error that names the file", "[peer][metrics]") {
  const auto error_without = [](const char* name, const char* text) {
    const TempDir proc;
    WriteProc(proc);
    std::filesystem::remove_all(std::filesystem::path(proc.path()) / name);
    if (text != nullptr) proc.Write(name, text);
    const absl::StatusOr<ProcessStats> stats = ReadProcessStats(proc.path());
    INFO(name);
    REQUIRE_FALSE(stats.ok());
    CHECK(std::string(stats.status().message()).find(absl::StrCat(proc.path(), "/", name)) == 0);
  };
  error_without("stat", nullptr);
  error_without("stat", "cpu 1 2 3\n");
  error_without("self/stat", nullptr);
  error_without("self/stat", "");
  error_without("self/stat", "42 nameless");
  error_without("self/fd", nullptr);
  error_without("self/limits", nullptr);
  error_without("self/limits", "Max stack size 1 2 bytes\n");
  CHECK_FALSE(ReadProcessStats("/nonexistent").ok());
}

}  // namespace
}  // namespace weave
