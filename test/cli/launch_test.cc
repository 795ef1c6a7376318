// `weave launch`: what it prints, what it leaves, and what it leaves when it fails.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/service_notify.h"
#include "io/subprocess.h"
#include "test/cli/world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

std::string LogText() { return ReadSmallFile("/var/log/weave/weave.log").value_or(""); }

// Nothing runs, nothing blocks the next launch.
void CheckNothingRuns(const World& world) {
  CHECK_FALSE(Exists("/run/weave"));
  if (world.WeaverPid() != 0) CHECK_FALSE(IsAlive(world.WeaverPid()));
}

}  // namespace

TEST_CASE("A launch prints the peer's pid alone and leaves peer and supervisor detached", "[cli]") {
  const World world;
  const Result result = world.Launch();
  CHECK(result.err.empty());
  REQUIRE(result.exit_status == 0);
  CHECK(result.out == absl::StrCat(world.WeaverPid(), "\n"));
  CHECK(Listing("/run/weave") == "launch.state peer.sock supervisor.lock weaver.lock");

  const pid_t supervisor = world.SupervisorPid();
  REQUIRE(supervisor > 0);
  CHECK(::getsid(supervisor) != ::getsid(0));
  CHECK(std::string(::realpath(absl::StrCat("/proc/", supervisor, "/cwd").c_str(), nullptr)) == "/");
  CHECK(Listing(absl::StrCat("/proc/", supervisor, "/fd")).find("launch") == std::string::npos);
  CHECK(absl::StrContains(LogText(), "fake weaver starts"));
  struct stat state;
  REQUIRE(::stat("/run/weave/launch.state", &state) == 0);
  CHECK((state.st_mode & 0777) == 0600);
  CHECK(world.Weave({"stop"}).exit_status == 0);
}

TEST_CASE("What the peer warns of is shown beside the pid; where it fails, only why", "[cli]") {
  const World world;
  const Result result = world.Launch({"--fake-warn=a rule of this host is in the way"});
  CHECK(result.exit_status == 0);
  CHECK(result.out == absl::StrCat(world.WeaverPid(), "\n"));
  CHECK(result.err == "WARNING: a rule of this host is in the way\n");
  REQUIRE(world.Weave({"stop"}).exit_status == 0);
  CHECK(world.Launch({"--fake-warn=a rule", "--fake-fail=no"}).err == "no\n");
}

TEST_CASE("A second launch is refused while the peer runs", "[cli]") {
  const World world;
  REQUIRE(world.Launch().exit_status == 0);
  const Result result = world.Launch();
  CHECK(result.exit_status == 3);
  CHECK(result.out.empty());
  CHECK(result.err == absl::StrCat("weave is already running (pid ", world.WeaverPid(), ")\n"));
  CHECK(world.Journal("start").size() == 1);
}

TEST_CASE("Two instances run side by side", "[cli]") {
  World world;
  REQUIRE(world.Launch().exit_status == 0);
  world.environment.emplace_back("WEAVE_CONTAINER_NAME", "other");
  REQUIRE(world.Launch().exit_status == 0);
  CHECK(world.Journal("start").size() == 2);
  CHECK(Exists("/var/log/weave/other.log"));
  CHECK(world.Weave({"stop"}).exit_status == 0);
  CHECK_FALSE(Exists("/run/other/peer.sock"));
  CHECK(world.Weave({"--api-socket=/run/weave/peer.sock", "status"}).exit_status == 0);
}

TEST_CASE("A peer that cannot start is quoted, with its exit status, and leaves nothing", "[cli]") {
  const World world;
  const Result result = world.Launch({"--fake-fail=port \"99999\": want 1 to 65534", "--fake-exit=7"});
  CHECK(result.exit_status == 7);
  CHECK(result.out.empty());
  CHECK(result.err == "port \"99999\": want 1 to 65534\n");
  CheckNothingRuns(world);
}

TEST_CASE("A peer that dies without a word is reported with its last line", "[cli]") {
  const World world;
  const Result result = world.Launch({"--fake-die", "--fake-exit=5"});
  CHECK(result.exit_status == 5);
  CHECK(result.err ==
        "The weave container has died (exit status 5): ERROR: something broke. See /var/log/weave/weave.log\n");
  CheckNothingRuns(world);
}

TEST_CASE("A failed launch leaves what an earlier one noted", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--weave-bridge=br7"}).exit_status == 0);
  REQUIRE(world.Weave({"stop"}).exit_status == 0);
  const std::string before = ReadSmallFile("/run/weave/launch.state").value();
  CHECK(absl::StrContains(before, "bridge=br7\n"));
  const auto noted = [] { return ReadSmallFile("/run/weave/launch.state").value_or(""); };
  CHECK(world.Launch({"--fake-fail=no"}).exit_status == 1);
  CHECK(noted() == before);

  const pid_t launch = world.Start({"launch", "--db-prefix=/run/store-", "--fake-never-ready"});
  REQUIRE(Eventually([&] { return world.Journal("restarted").size() == 3; }));
  CHECK(noted() != before);
  ::kill(launch, SIGKILL);
  ::waitpid(launch, nullptr, 0);
  CHECK(Eventually([&] { return Listing("/run/weave") == "launch.state"; }));
  CHECK(noted() == before);
}

TEST_CASE("A peer that never gets ready is ended after the time limit", "[cli]") {
  World world;
  world.environment.emplace_back("WEAVE_LAUNCH_TIMEOUT", "1");
  const Result result = world.Launch({"--fake-never-ready"});
  CHECK(result.exit_status == 1);
  CHECK(result.err ==
        "weave: the peer was not ready within 1s (waiting for Godot); it was ended again. See "
        "/var/log/weave/weave.log\n");
  CheckNothingRuns(world);
}

TEST_CASE("A launch that is killed half-way takes its peer along, and all it made", "[cli]") {
  const World world;
  const pid_t launch = world.Start({"launch", "--db-prefix=/run/store-", "--fake-never-ready"});
  REQUIRE(Eventually([&] { return world.WeaverPid() != 0 && Exists("/run/store-data.db"); }));
  const pid_t weaver = world.WeaverPid();
  ::kill(launch, SIGKILL);
  ::waitpid(launch, nullptr, 0);
  CHECK(Eventually([&] { return !Exists("/run/weave"); }));
  CHECK_FALSE(IsAlive(weaver));
  CHECK(world.Weave({"status"}).err == "weave container is not present. Have you launched it?\n");
  CHECK(world.Launch().exit_status == 0);
  CHECK(Listing("/run/weave") == "launch.state peer.sock supervisor.lock weaver.lock");
}

TEST_CASE("A peer that is killed while it starts leaves nothing; what was there before stays", "[cli]") {
  const bool had_bridge = GENERATE(false, true), had_store = GENERATE(false, true);
  const World world;
  if (had_bridge) REQUIRE(RunSuccessfully({.argv = {"ip", "link", "add", "weave", "type", "bridge"}}).ok());
  if (had_store) REQUIRE(WriteFileAtomically("/run/store-data.db", "").ok());
  const pid_t launch = world.Start({"launch", "--db-prefix=/run/store-", "--fake-never-ready"});
  REQUIRE(Eventually([&] { return Exists("/run/store-data.db") && Exists("/run/weave/weaver.lock"); }));
  ::kill(world.WeaverPid(), SIGKILL);
  int status = 0;
  ::waitpid(launch, &status, 0);
  CHECK(WEXITSTATUS(status) == 1);
  CheckNothingRuns(world);
  CHECK(world.Journal("cleanup").size() == (had_bridge ? 0u : 1u));
  CHECK(Exists("/run/store-data.db") == had_store);
}

TEST_CASE("Where what a killed peer made cannot be taken back, reset still can", "[cli]") {
  World world;
  const std::string unable =
      absl::StrCat("#!/bin/sh\n[ \"$1\" != --cleanup ] || exit 1\nexec ", FAKE_WEAVER_PROGRAM, " \"$@\"\n");
  REQUIRE(WriteFileAtomically("/run/unable", unable).ok());
  REQUIRE(::chmod("/run/unable", 0700) == 0);
  world.environment.emplace_back("WEAVE_WEAVER", "/run/unable");
  const pid_t launch = world.Start({"launch", "--db-prefix=/run/store-", "--fake-never-ready", "--weave-bridge=br7"});
  REQUIRE(Eventually([&] { return Exists("/run/store-data.db") && Exists("/run/weave/weaver.lock"); }));
  ::kill(world.WeaverPid(), SIGKILL);
  ::waitpid(launch, nullptr, 0);
  CHECK(Listing("/run/weave") == "launch.state");
  world.environment.pop_back();
  CHECK(world.Weave({"reset", "--force"}).exit_status == 0);
  CHECK(absl::StrContains(world.Journal("cleanup").back(), "--weave-bridge=br7"));
  CHECK_FALSE(Exists("/run/weave"));
  CHECK_FALSE(Exists("/run/store-data.db"));
}

TEST_CASE("Of two launches at once the second says that the first is under way", "[cli]") {
  const World world;
  const pid_t first = world.Start({"launch", "--db-prefix=/run/store-", "--fake-never-ready"});
  REQUIRE(Eventually([&] { return world.WeaverPid() != 0; }));
  const Result second = world.Launch();
  CHECK(second.exit_status == 1);
  CHECK(second.err == absl::StrCat("weave: another 'weave launch' or 'weave reset' is under way (pid ", first, ")\n"));
  CHECK(IsAlive(world.WeaverPid()));
  ::kill(first, SIGKILL);
  ::waitpid(first, nullptr, 0);
  CHECK(Eventually([&] { return world.SupervisorPid() == 0; }));
}

TEST_CASE("A stop while the peer is starting makes the launch fail", "[cli]") {
  const World world;
  const pid_t launch = world.Start({"launch", "--db-prefix=/run/store-", "--fake-never-ready"});
  REQUIRE(Eventually([&] { return Exists("/run/store-data.db"); }));
  CHECK(world.Weave({"stop"}).exit_status == 0);
  int status = 0;
  ::waitpid(launch, &status, 0);
  CHECK(WEXITSTATUS(status) == 1);
  CheckNothingRuns(world);
}

TEST_CASE("A peer that hangs is named by the next launch, and so is what holds its lock", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-deaf"}).exit_status == 0);
  const Result result = world.Launch();
  CHECK(result.exit_status == 1);
  CHECK(result.err ==
        absl::StrCat("weave: the peer (pid ", world.WeaverPid(), ") does not answer: no reply within 3s\n"));
  REQUIRE(::unlink("/run/weave/peer.sock") == 0);
  CHECK(absl::StartsWith(world.Launch().err, absl::StrCat("weave: weave is already running (pid ", world.WeaverPid(),
                                                          ") but does not answer")));
}

TEST_CASE("A peer that is on its way out is waited for", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--fake-deaf", "--no-restart"}).exit_status == 0);
  const pid_t dying = world.WeaverPid();
  SECTION("while it listens") {}
  SECTION("when it has its lock alone") { REQUIRE(::unlink("/run/weave/peer.sock") == 0); }
  const pid_t launch = world.Start({"launch", "--db-prefix=/run/store-"});
  absl::SleepFor(absl::Milliseconds(300));
  REQUIRE(::kill(dying, SIGKILL) == 0);
  int status = 0;
  ::waitpid(launch, &status, 0);
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(world.Journal("start").size() == 2);
  CHECK(world.WeaverPid() != dying);
}

TEST_CASE("Where directories cannot be written, launch names them", "[cli]") {
  const World world;
  SECTION("no directory for the socket") {
    REQUIRE(::mount("none", "/run", nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    const Result result = world.Launch();
    CHECK(result.exit_status == 1);
    CHECK(absl::StrContains(result.err, "/run/weave: Read-only file system"));
  }
  SECTION("a directory that is read-only") {
    REQUIRE(::mkdir("/run/weave", 0755) == 0);
    REQUIRE(::mount("none", "/run", nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    const Result result = world.Launch();
    CHECK(result.exit_status == 1);
    CHECK(absl::StrContains(result.err, "/run/weave/launch.lock: Read-only file system"));
  }
  SECTION("a file where the directory belongs") {
    REQUIRE(WriteFileAtomically("/run/weave", "").ok());
    const Result result = world.Launch();
    CHECK(result.exit_status == 1);
    CHECK(absl::StrContains(result.err, "/run/weave"));
  }
  SECTION("no directory for the log") {
    REQUIRE(::mount("none", "/var/log", nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
    const Result result = world.Launch();
    CHECK(result.exit_status == 1);
    CHECK(absl::StrContains(result.err, "/var/log/weave: Read-only file system"));
    CHECK_FALSE(Exists("/run/weave"));
  }
  SECTION("no room for anything") {
    REQUIRE(::mkdir("/run/weave", 0755) == 0);
    REQUIRE(::mount("full", "/run/weave", "tmpfs", 0, "nr_inodes=2") == 0);
    const Result result = world.Launch();
    CHECK(result.exit_status == 1);
    CHECK(absl::StrContains(result.err, "No space left on device"));
    CHECK(Listing("/run/weave").empty());
  }
  CHECK(world.Journal("start").empty());
}

TEST_CASE("A weaver that is not there is named", "[cli]") {
  World world;
  world.environment[0].second = "/nonexistent/weaver";
  const Result result = world.Launch();
  CHECK(result.exit_status == 1);
  CHECK(result.err == "weave: WEAVE_WEAVER: \"/nonexistent/weaver\" is not a program\n");
  world.environment[0].second = "/run/broken";
  REQUIRE(WriteFileAtomically("/run/broken", "not a program", 0755).ok());
  CHECK(absl::StrContains(world.Launch().err, "weave: run /run/broken: Exec format error"));
  CheckNothingRuns(world);
}

TEST_CASE("Unsupervised, the peer stays alone", "[cli]") {
  const World world;
  REQUIRE(world.Launch({"--no-restart"}).exit_status == 0);
  CHECK(world.SupervisorPid() == 0);
  CHECK(Listing("/run/weave") == "launch.state peer.sock weaver.lock");
  CHECK(world.Weave({"status"}).exit_status == 0);
  CHECK(world.Weave({"stop"}).exit_status == 0);
  CHECK_FALSE(IsAlive(world.WeaverPid()));
}

TEST_CASE("Unsupervised under systemd, systemd is told who the main process is", "[cli]") {
  World world;
  auto systemd = LaunchSocket::Bind("/run");
  REQUIRE(systemd.ok());
  world.environment.emplace_back("NOTIFY_SOCKET", systemd->path());
  Result result;
  // The barrier's descriptor is closed as soon as the message is dropped, which receiving without room for it does.
  std::thread launch([&] { result = world.Launch({"--no-restart"}); });
  std::string ready_from_launch;
  bool barrier = false;
  while (!barrier) {
    auto message = systemd->Receive(absl::Seconds(20));
    if (!message.ok()) break;
    if (message->count("READY") > 0) ready_from_launch = (*message)["MAINPID"];
    barrier = message->count("BARRIER") > 0;
  }
  launch.join();
  CHECK(barrier);
  CHECK(result.exit_status == 0);
  CHECK(ready_from_launch + "\n" == result.out);
}

TEST_CASE("A peer of another instance at the control address is Weave Net already running", "[cli]") {
  World world;
  world.environment.emplace_back("WEAVE_HTTP_ADDR", "/run/control.sock");
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "/run/control.sock");
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener.get(), 1) == 0);
  std::thread server([&] {
    const Fd connection(::accept(listener.get(), nullptr, nullptr));
    char request[1024];
    (void)!::read(connection.get(), request, sizeof request);
    const std::string body = "\n        Version: 2.8.1\n";
    const std::string answer = absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(), "\r\n\r\n", body);
    (void)!::write(connection.get(), answer.data(), answer.size());
  });
  const Result result = world.Launch();
  server.join();
  CHECK(result.exit_status == 1);
  CHECK(absl::StrContains(result.err, "Weave Net is already running"));
  CheckNothingRuns(world);
}

TEST_CASE("An ordinary user is told to be root", "[cli]") {
  const World world;
  REQUIRE(::chmod("/run", 0755) == 0);
  for (const char* command : {"launch", "stop", "reset"}) {
    const auto result = RunSubprocess({.argv = {"setpriv", "--reuid=65534", "--clear-groups", WEAVE_PROGRAM, command}});
    REQUIRE(result.ok());
    CHECK(result->exit_status == 1);
    CHECK(result->error_output == "weave must be run as 'root'\n");
  }
  REQUIRE(world.Launch().exit_status == 0);
  REQUIRE(::chmod("/run/weave/peer.sock", 0600) == 0);
  const auto result = RunSubprocess({.argv = {"setpriv", "--reuid=65534", "--clear-groups", WEAVE_PROGRAM, "status"}});
  REQUIRE(result.ok());
  CHECK(result->exit_status == 1);
  CHECK(result->error_output == "weave must be run as 'root'\n");
}

}  // namespace weave
