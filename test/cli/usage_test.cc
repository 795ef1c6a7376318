// What `weave` says without a peer: usage, unknown, removed and later commands (contract A1-04, A1-05), bad arguments.
#include <sstream>

#include "absl/strings/match.h"
#include "cli/commands.h"
#include "test/support/catch.h"

namespace weave {
namespace {

struct Said {
  int exit_status;
  std::string out, err;
};

Said Weave(std::vector<std::string> args, const char* api_socket = "/nonexistent/weave/peer.sock") {
  std::ostringstream out, err;
  const Environment environment = [&](const char* name) {
    return std::string(name) == "WEAVE_API_SOCKET" ? api_socket : nullptr;
  };
  const int exit_status = RunWeave(args, environment, out, err);
  return {exit_status, out.str(), err.str()};
}

}  // namespace

TEST_CASE("Help is usage on standard error with success", "[cli]") {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"help"},
                                               {"--help"},
                                               {"--local", "help"},
                                               {"launch", "--help"},
                                               {"attach", "--help"}}) {
    const Said said = Weave(args);
    CHECK(said.exit_status == 0);
    CHECK(said.out.empty());
    CHECK(absl::StartsWith(said.err, "Usage:\n\nweave "));
  }
  CHECK(absl::StartsWith(Weave({"ps", "--help"}).err, "Usage:\n\nweave ps "));
}

TEST_CASE("No command is usage with failure, an unknown one is named before it", "[cli]") {
  for (const std::vector<std::string>& args : {std::vector<std::string>{}, {"--local"}, {"--api-socket", "/a/b"}}) {
    const Said said = Weave(args);
    CHECK(said.exit_status == 1);
    CHECK(absl::StartsWith(said.err, "Usage:\n"));
  }
  for (const char* unknown : {"fly", "", "--fly", "Launch"}) {
    const Said said = Weave({unknown});
    CHECK(said.exit_status == 1);
    CHECK(absl::StartsWith(said.err, std::string("Unknown weave command '") + unknown + "'\nUsage:\n"));
  }
}

TEST_CASE("Each command that 2.0 removed says so", "[cli]") {
  for (const char* name : {"run", "start", "restart", "launch-plugin", "stop-plugin", "launch-proxy", "stop-proxy",
                           "launch-router", "stop-router"}) {
    const Said said = Weave({name, "--help"});
    CHECK(said.exit_status == 1);
    CHECK(said.err == std::string("The 'weave ") + name + "' command has been removed as of Weave Net version 2.0\n");
  }
}

TEST_CASE("Each command of 2.8 that this build lacks says so", "[cli]") {
  for (const char* name : {"env", "config", "attach-bridge"}) {
    const Said said = Weave({name, "x"});
    CHECK(said.exit_status == 1);
    CHECK(said.err == std::string("weave: '") + name + "' is not supported in this build\n");
  }
}

TEST_CASE("Every command of the table runs, is removed or is for later", "[cli]") {
  for (const Command& command : Commands()) {
    const bool runs = command.kind == CommandKind::kShown || command.kind == CommandKind::kHidden;
    CHECK((command.run != nullptr) == runs);
    CHECK(FindCommand(command.name) == &command);
    CHECK(absl::StrContains(UsageText(), std::string("\nweave ") + command.name) ==
          (command.kind == CommandKind::kShown));
  }
}

TEST_CASE("Wrong arguments are the command's usage with failure", "[cli]") {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"attach"},
                                               {"attach", "10.2.1.1/24"},
                                               {"attach", "10.2.1.1/24", "--fly", "a"},
                                               {"detach"},
                                               {"detach", "a", "10.2.1.1/24"},
                                               {"expose", "--fly"},
                                               {"expose", "10.2.1.1/24", "-h"},
                                               {"dns-add"},
                                               {"dns-add", "10.2.1.1"},
                                               {"dns-add", "-h", "web.weave.local"},
                                               {"dns-remove", "web", "x"},
                                               {"dns-lookup"},
                                               {"dns-args", "x"},
                                               {"hide", "--fly"},
                                               {"prime", "x"},
                                               {"rmpeer"},
                                               {"rmpeer", "--fly"},
                                               {"rmpeer", "--force"},
                                               {"status", "peers", "x"},
                                               {"report", "x"},
                                               {"report", "-f"},
                                               {"report", "-f", "{{.}}", "x"},
                                               {"report", "--format", "{{.}}"},
                                               {"version", "x"},
                                               {"stop", "x"},
                                               {"reset", "x"},
                                               {"bridge-type", "x"},
                                               {"delete-datapath"},
                                               {"delete-datapath", "x", "y"},
                                               {"docker-bridge-ip", "x"}}) {
    const Said said = Weave(args);
    INFO(args[0]);
    CHECK(said.exit_status == 1);
    CHECK(absl::StartsWith(said.err, "Usage:\n\nweave "));
    CHECK(said.out.empty());
  }
}

TEST_CASE("An unknown status page is named", "[cli]") {
  const Said said = Weave({"status", "weather"});
  CHECK(said.exit_status == 1);
  CHECK(absl::StartsWith(said.err, "Invalid 'weave status' sub-command: weather\nUsage:\n"));
}

TEST_CASE("What attach and expose lack is refused by name", "[cli]") {
  CHECK(Weave({"attach", "--rewrite-hosts", "c"}).err == "weave: '--rewrite-hosts' is not supported in this build\n");
  CHECK(Weave({"attach", "--add-host=a:1.2.3.4", "c"}).err ==
        "weave: '--add-host=a:1.2.3.4' is not supported in this build\n");
  CHECK(absl::StartsWith(Weave({"attach", "10.2.1.1/33", "c"}).err, "weave: \"10.2.1.1/33\" is not an address"));
}

TEST_CASE("Without a peer every command that needs one asks for a launch", "[cli]") {
  for (const std::vector<std::string>& args : {std::vector<std::string>{"status"},
                                               {"report"},
                                               {"ps"},
                                               {"attach", "10.2.1.1/24", "c"},
                                               {"detach", "c"},
                                               {"expose", "10.2.1.1/24"},
                                               {"hide"},
                                               {"bridge-type"}}) {
    const Said said = Weave(args);
    CHECK(said.exit_status == 1);
    CHECK(said.err == "weave container is not present. Have you launched it?\n");
    CHECK(said.out.empty());
  }
}

TEST_CASE("A bad API socket is named, wherever it was given", "[cli]") {
  CHECK(absl::StrContains(Weave({"status", "--api-socket=/x"}).err, "weave: --api-socket \"/x\": want"));
  CHECK(absl::StrContains(Weave({"--api-socket", "/x", "status"}).err, "weave: --api-socket \"/x\": want"));
  CHECK(absl::StrContains(Weave({"status", "--api-socket"}).err, "weave: --api-socket: want"));
  CHECK(absl::StrContains(Weave({"status"}, "/x").err, "weave: WEAVE_API_SOCKET \"/x\": want"));
  CHECK(absl::StrContains(Weave({"status"}, ("/tmp/" + std::string(200, 'x') + "/s").c_str()).err,
                          "want a path of 1 to 107"));
}

}  // namespace weave
