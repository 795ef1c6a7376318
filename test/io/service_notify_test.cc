#include "io/service_notify.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "test/io/scratch.h"
#include "test/support/catch.h"

namespace weave {
namespace {

using Message = std::map<std::string, std::string>;

// A variable of the environment while this exists.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~ScopedVariable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

Message ReceiveNow(LaunchSocket& socket) {
  absl::StatusOr<Message> message = socket.Receive(absl::Seconds(10));
  REQUIRE(message.status() == absl::OkStatus());
  return *message;
}

TEST_CASE("Launcher and service manager hear the same, but only the one who waits hears of ready", "[io]") {
  const ScratchDirectory scratch;
  auto launcher = LaunchSocket::Bind(scratch.path());
  auto manager = LaunchSocket::Bind(scratch.path());
  REQUIRE((launcher.ok() && manager.ok()));
  CHECK(launcher->path() != manager->path());
  const ScopedVariable launch(kLaunchSocketVariable, launcher->path()), notify("NOTIFY_SOCKET", manager->path());

  ServiceNotifier notifier = ServiceNotifier::FromEnvironment();
  notifier.Ready();
  CHECK(ReceiveNow(*launcher) == Message{{"READY", "1"}, {"MAINPID", absl::StrCat(::getpid())}});
  notifier.Warning("a rule\nblocks");
  notifier.Status("2 peers\nconnected");
  notifier.Watchdog();
  notifier.Stopping();
  for (LaunchSocket* socket : {&*launcher, &*manager}) {
    CHECK(ReceiveNow(*socket) == Message{{"WEAVE_WARNING", "a rule blocks"}});
    CHECK(ReceiveNow(*socket) == Message{{"STATUS", "2 peers connected"}});
    CHECK(ReceiveNow(*socket) == Message{{"WATCHDOG", "1"}});
    CHECK(ReceiveNow(*socket) == Message{{"STOPPING", "1"}});
  }
}

TEST_CASE("Without a launcher the service manager hears that the daemon is ready", "[io]") {
  const ScratchDirectory scratch;
  auto manager = LaunchSocket::Bind(scratch.path());
  REQUIRE(manager.ok());
  const ScopedVariable notify("NOTIFY_SOCKET", manager->path());
  ServiceNotifier::FromEnvironment().Ready();
  CHECK(ReceiveNow(*manager) == Message{{"READY", "1"}, {"MAINPID", absl::StrCat(::getpid())}});
}

TEST_CASE("A daemon that cannot start says why in one line, with its exit status", "[io]") {
  const ScratchDirectory scratch;
  auto launcher = LaunchSocket::Bind(scratch.path());
  REQUIRE(launcher.ok());
  const ScopedVariable launch(kLaunchSocketVariable, launcher->path());
  ServiceNotifier::FromEnvironment().Failed("bridge weave: is a\nveth=pair", 1);
  const Message message = ReceiveNow(*launcher);
  CHECK(message.at("WEAVE_ERROR") == "bridge weave: is a veth=pair");
  CHECK(message.at("EXIT_STATUS") == "1");
}

TEST_CASE("Without receivers, or with one that is gone or full, nothing happens", "[io]") {
  const ScratchDirectory scratch;
  ServiceNotifier::FromEnvironment().Ready();
  {
    const ScopedVariable launch(kLaunchSocketVariable, scratch / "gone"),
        notify("NOTIFY_SOCKET", std::string(300, 'x'));
    ServiceNotifier::FromEnvironment().Ready();
  }
  auto full = LaunchSocket::Bind(scratch.path());
  REQUIRE(full.ok());
  const ScopedVariable launch(kLaunchSocketVariable, full->path());
  ServiceNotifier notifier = ServiceNotifier::FromEnvironment();
  for (int i = 0; i < 10'000; ++i) notifier.Watchdog();
  CHECK(ReceiveNow(*full) == Message{{"WATCHDOG", "1"}});
}

TEST_CASE("The service manager's watchdog is fed twice per period, if it is ours", "[io]") {
  CHECK_FALSE(ServiceNotifier::FromEnvironment().watchdog_interval().has_value());
  const ScopedVariable period("WATCHDOG_USEC", "30000000");
  CHECK(ServiceNotifier::FromEnvironment().watchdog_interval() == absl::Seconds(15));
  const ScopedVariable other("WATCHDOG_PID", "1");
  CHECK_FALSE(ServiceNotifier::FromEnvironment().watchdog_interval().has_value());
}

TEST_CASE("A launch socket is private, gives up in time, and goes with its owner", "[io]") {
  const ScratchDirectory scratch;
  {
    auto socket = LaunchSocket::Bind(scratch.path());
    REQUIRE(socket.ok());
    struct stat info;
    REQUIRE(::stat(socket->path().c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
    CHECK(socket->Receive(absl::Milliseconds(1)).status().code() == absl::StatusCode::kDeadlineExceeded);
  }
  CHECK(scratch.List().empty());
  CHECK(LaunchSocket::Bind(scratch / "absent").status().code() == absl::StatusCode::kNotFound);
  CHECK(LaunchSocket::Bind(std::string(200, 'x')).status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weave
