// Cold start and size of an idle peer: from exec to the first 200 of GET /status, and the memory it then holds. Each
// run is a fresh peer with an empty store in a network namespace of this process. Root.
//
//   cold_start_bench WEAVER [RUNS]
//
// Beside it stands the same machine's time to start /bin/true, so that runs on different machines can be compared.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "io/fd.h"

namespace {

using Clock = std::chrono::steady_clock;

// The reference peer's figures (spec/baseline.md).
constexpr double kReferenceStartSeconds = 0.20;
constexpr double kReferenceResidentMegabytes = 50;
constexpr int kPort = 6784;
constexpr std::chrono::seconds kGiveUp(30);

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "cold_start_bench: %s\n", what.c_str());
  std::exit(1);
}

void EnterOwnNetwork() {
  if (::unshare(CLONE_NEWNET) != 0) Die("needs root");
  const weave::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  ::ioctl(socket.get(), SIOCSIFFLAGS, &request);
}

pid_t Spawn(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = 0;
  if (::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) != 0) Die("cannot start " + command[0]);
  posix_spawn_file_actions_destroy(&actions);
  return pid;
}

double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

bool StatusAnswers() {
  const weave::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(kPort);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return false;
  const std::string request = "GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return false;
  char answer[16] = {};
  return ::recv(socket.get(), answer, 12, MSG_WAITALL) == 12 && std::string(answer) == "HTTP/1.1 200";
}

double MemoryMegabytes(pid_t pid, const std::string& file, const std::string& field) {
  std::ifstream in(absl::StrCat("/proc/", pid, "/", file));
  for (std::string line; std::getline(in, line);)
    if (line.rfind(field, 0) == 0) return std::atof(line.c_str() + field.size()) / 1024;
  return 0;
}

struct Run {
  double start_seconds = 0;
  double resident_megabytes = 0;
  double proportional_megabytes = 0;
};

Run RunOnce(const std::string& weaver, const std::filesystem::path& work) {
  const auto began = Clock::now();
  const pid_t pid = Spawn({weaver, "--api-socket", work / "run/peer.sock", "--db-prefix", work / "db/weave",
                           "--http-addr", absl::StrCat("127.0.0.1:", kPort), "--name", "::1"});
  while (!StatusAnswers()) {
    if (Clock::now() - began > kGiveUp || ::waitpid(pid, nullptr, WNOHANG) == pid) Die("the peer does not answer");
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  Run run;
  run.start_seconds = Seconds(began);
  std::this_thread::sleep_for(std::chrono::seconds(2));  // idle
  run.resident_megabytes = MemoryMegabytes(pid, "status", "VmRSS:");
  run.proportional_megabytes = MemoryMegabytes(pid, "smaps_rollup", "Pss:");
  ::kill(pid, SIGTERM);
  ::waitpid(pid, nullptr, 0);
  ::waitpid(Spawn({weaver, "--cleanup"}), nullptr, 0);
  std::filesystem::remove_all(work);
  return run;
}

void Print(const char* what, std::vector<double> values, const char* unit, double reference) {
  std::sort(values.begin(), values.end());
  const double median = values[values.size() / 2];
  std::printf("%-28s min %8.4f  median %8.4f  max %8.4f %s", what, values.front(), median, values.back(), unit);
  if (reference > 0) std::printf("   %.2f of the reference's %.2f", median / reference, reference);
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) Die("usage: cold_start_bench WEAVER [RUNS]");
  const int count = argc > 2 ? std::max(1, std::atoi(argv[2])) : 9;
  EnterOwnNetwork();
  const auto work = std::filesystem::temp_directory_path() / absl::StrCat("weave-bench-", ::getpid());
  std::vector<double> start, resident, proportional, yardstick;
  for (int i = 0; i < count; ++i) {
    const auto began = Clock::now();
    ::waitpid(Spawn({"/bin/true"}), nullptr, 0);
    yardstick.push_back(Seconds(began));
    const Run run = RunOnce(argv[1], work);
    start.push_back(run.start_seconds);
    resident.push_back(run.resident_megabytes);
    proportional.push_back(run.proportional_megabytes);
  }
  std::printf("%d runs\n", count);
  Print("start of /bin/true", yardstick, "s", 0);
  Print("exec to GET /status 200", start, "s", kReferenceStartSeconds);
  Print("resident, idle 2 s", resident, "MB", kReferenceResidentMegabytes);
  Print("proportional (PSS)", proportional, "MB", 0);
}
