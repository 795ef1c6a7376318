#include "test/cli/world.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "test/support/catch.h"

namespace weave {
namespace {

constexpr char kJournal[] = "/run/journal";

}  // namespace

World::World() {
  if (::geteuid() != 0) {
    std::cerr << "skipped: needs root for namespaces of its own\n";
    std::exit(77);
  }
  REQUIRE(::unshare(CLONE_NEWNS | CLONE_NEWNET) == 0);
  REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  for (const char* directory : {"/run", "/var/log", "/var/lib"})
    REQUIRE(::mount("weave-test", directory, "tmpfs", 0, nullptr) == 0);
  REQUIRE(std::system("ip link set lo up") == 0);
  environment = {{"WEAVE_WEAVER", FAKE_WEAVER_PROGRAM}, {"FAKE_JOURNAL", kJournal}, {"WEAVE_NO_PLUGIN", "1"}};
}

World::~World() {
  for (const char* lock : {"/run/weave/supervisor.lock", "/run/weave/weaver.lock", "/run/weave/plugin.lock",
                           "/run/other/supervisor.lock", "/run/other/weaver.lock"})
    if (const auto pid = HolderOf(lock); pid.ok() && pid->value_or(0) > 0) ::kill(**pid, SIGKILL);
}

Result World::Weave(const std::vector<std::string>& args) const {
  SubprocessOptions options;
  options.argv = {WEAVE_PROGRAM};
  options.argv.insert(options.argv.end(), args.begin(), args.end());
  options.environment = environment;
  options.timeout = absl::Seconds(90);
  const absl::StatusOr<SubprocessResult> result = RunSubprocess(options);
  if (!result.ok()) FAIL(std::string(result.status().message()));
  return {result->exit_status, result->output, result->error_output};
}

Result World::Launch(std::vector<std::string> flags) const {
  flags.insert(flags.begin(), {"launch", "--db-prefix=/run/store-"});
  return Weave(flags);
}

pid_t World::Start(const std::vector<std::string>& args) const {
  std::vector<std::string> argv = {WEAVE_PROGRAM};
  argv.insert(argv.end(), args.begin(), args.end());
  std::vector<char*> pointers;
  for (std::string& arg : argv) pointers.push_back(arg.data());
  pointers.push_back(nullptr);
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid > 0) return pid;
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  const int null = ::open("/dev/null", O_RDWR);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(null, STDERR_FILENO);
  ::execv(WEAVE_PROGRAM, pointers.data());
  ::_exit(127);
}

std::vector<std::string> World::Journal(absl::string_view word) const {
  std::vector<std::string> lines;
  const std::string text = ReadSmallFile(kJournal).value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n'))
    if (absl::ConsumePrefix(&line, absl::StrCat(word, " "))) lines.emplace_back(line);
  return lines;
}

pid_t World::WeaverPid() const {
  const std::vector<std::string> starts = Journal("start");
  int pid = 0;
  if (!starts.empty()) REQUIRE(absl::SimpleAtoi(starts.back().substr(0, starts.back().find(' ')), &pid));
  return pid;
}

pid_t World::SupervisorPid() const { return HolderOf("/run/weave/supervisor.lock").value_or(std::nullopt).value_or(0); }

bool IsAlive(pid_t pid) {
  // One that has ended but whose parent has not looked yet is not alive.
  const absl::StatusOr<std::string> stat = ReadSmallFile(absl::StrCat("/proc/", pid, "/stat"));
  return stat.ok() && stat->find(") Z ") == std::string::npos;
}

bool Exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string Listing(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return absl::StrJoin(names, " ");
}

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(10));
  }
  return false;
}

}  // namespace weave
