#include "host/sandbox.h"

#include "absl/strings/str_format.h"
#include "test/host/fake_docker.h"
#include "test/host/host_world.h"

namespace weave {
namespace {

SandboxOptions Docker(const FakeDocker& docker) {
  SandboxOptions options;
  options.docker.address = docker.address();
  return options;
}

SandboxOptions NoDocker() {
  SandboxOptions options;
  options.docker.address = "unix:///nowhere/docker.sock";
  return options;
}

absl::Status Refusal(const SandboxOptions& options, const std::string& text) {
  absl::Status status = ResolveSandbox(options, text).status();
  INFO(text << " -> " << status);
  CHECK_FALSE(status.ok());
  CHECK(std::string(status.message()).find('\n') == std::string::npos);
  return status;
}

TEST_CASE("A pid is its network namespace, named by 12 digits of the inode", "[host][sandbox]") {
  if (!HostWorld::Possible()) return;
  IdleProcess process;
  const Sandbox sandbox = ResolveSandbox(NoDocker(), absl::StrCat(process.pid())).value();
  const NetNs ns = NetNs::OfPid(process.pid()).value();
  CHECK(sandbox.netns_inode == ns.inode());
  CHECK(sandbox.netns_path == absl::StrCat("/proc/", process.pid(), "/ns/net"));
  CHECK(sandbox.ident == absl::StrFormat("%012x", ns.inode()));
  CHECK(sandbox.display == absl::StrCat("pid ", process.pid()));
  CHECK(sandbox.link_id == absl::StrCat(process.pid()));
}

TEST_CASE("A path is the same namespace with the same name as by pid", "[host][sandbox]") {
  if (!HostWorld::Possible()) return;
  IdleProcess process;
  const std::string path = absl::StrCat("/proc/", process.pid(), "/ns/net");
  const Sandbox sandbox = ResolveSandbox(NoDocker(), path).value();
  CHECK(sandbox.ident == ResolveSandbox(NoDocker(), absl::StrCat(process.pid()))->ident);
  CHECK(sandbox.display == path);
  CHECK(sandbox.link_id == sandbox.ident.substr(5));
}

TEST_CASE("A name or id is asked of the Docker daemon", "[host][sandbox]") {
  if (!HostWorld::Possible()) return;
  IdleProcess process;
  FakeDocker docker(200, ContainerJson(process.pid()));
  const std::string digits(12, '7');  // an id that happens to have no letters
  for (const std::string& text : {std::string("web"), std::string("c3c3"), digits, std::string(64, '7')}) {
    const Sandbox sandbox = ResolveSandbox(Docker(docker), text).value();
    CHECK(sandbox.ident == std::string(64, 'c'));
    CHECK(sandbox.netns_inode == NetNs::OfPid(process.pid())->inode());
    CHECK(sandbox.display == "web");
    CHECK(sandbox.link_id == absl::StrCat(process.pid()));
  }
  CHECK(docker.requests()[0] == "GET /containers/web/json HTTP/1.1");
  CHECK(docker.requests().size() == 4);
}

TEST_CASE("Containers that cannot be attached are refused for what they are", "[host][sandbox]") {
  if (!HostWorld::Possible()) return;
  SECTION("no such container") {
    FakeDocker docker(404, "{\"message\":\"No such container: web\"}");
    CHECK(Refusal(Docker(docker), "web") == absl::NotFoundError("no such container \"web\""));
  }
  SECTION("not running") {
    FakeDocker docker(200, ContainerJson(0, false));
    CHECK(Refusal(Docker(docker), "web") == absl::FailedPreconditionError("container \"web\" is not running"));
  }
  SECTION("in the host's network") {
    FakeDocker docker(200, ContainerJson(::getpid(), true, "host"));
    CHECK(absl::IsFailedPrecondition(Refusal(Docker(docker), "web")));
  }
  SECTION("sharing the network of one that is in the host's") {
    FakeDocker docker(200, ContainerJson(::getpid(), true, "container:" + std::string(64, 'd')));
    CHECK(absl::IsFailedPrecondition(Refusal(Docker(docker), "web")));
  }
  SECTION("ended since") {
    IdleProcess process;
    FakeDocker docker(200, ContainerJson(process.pid()));
    process.End();
    CHECK(absl::IsFailedPrecondition(Refusal(Docker(docker), "web")));
  }
}

TEST_CASE("A Docker daemon that is absent, hung or talks nonsense is said to be so", "[host][sandbox]") {
  const absl::Status absent = Refusal(NoDocker(), "web");
  CHECK(absl::IsUnavailable(absent));
  CHECK(std::string(absent.message()).find("/nowhere/docker.sock") != std::string::npos);

  FakeDocker hung(0, "");
  SandboxOptions options = Docker(hung);
  CHECK(options.docker.timeout == absl::Seconds(3));
  options.docker.timeout = absl::Milliseconds(200);
  const absl::Status silence = Refusal(options, "web");
  CHECK(absl::IsDeadlineExceeded(silence));
  CHECK(std::string(silence.message()).find(hung.address()) != std::string::npos);

  FakeDocker broken(500, "{\"message\":\"disk on fire\"}");
  CHECK(absl::IsUnavailable(Refusal(Docker(broken), "web")));
  for (const char* body : {"", "null", "[]", "{}", "{\"Id\":1}", "<html>"}) {
    FakeDocker docker(200, body);
    CHECK(absl::IsUnavailable(Refusal(Docker(docker), "web")));
  }
}

TEST_CASE("Odd names are refused before anybody is asked", "[host][sandbox]") {
  FakeDocker docker(200, ContainerJson(1));
  for (const char* text : {"", " ", "-web", ".web", "_web", "we b", "a/b", "../etc", "web?x=1", "a\nb", "/a\nb",
                           "web%2f", "+5", "-1", "w\u00e9b", "w\xff"})
    CHECK(absl::IsInvalidArgument(Refusal(Docker(docker), text)));
  CHECK(absl::IsInvalidArgument(Refusal(Docker(docker), std::string(300, 'a'))));
  CHECK(docker.requests().empty());
}

TEST_CASE("Paths and pids that lead nowhere, or to no network of their own, are refused", "[host][sandbox]") {
  CHECK(absl::IsNotFound(Refusal(NoDocker(), "/run/netns/absent-for-sure")));
  CHECK(absl::IsInvalidArgument(Refusal(NoDocker(), "/etc/passwd")));
  CHECK(absl::IsInvalidArgument(Refusal(NoDocker(), "/")));
  CHECK(absl::IsInvalidArgument(Refusal(NoDocker(), "/proc/self/ns/uts")));
  CHECK(absl::IsNotFound(Refusal(NoDocker(), "0")));
  CHECK(Refusal(NoDocker(), "4999999") == absl::NotFoundError("no process 4999999"));
  CHECK(absl::IsNotFound(Refusal(NoDocker(), "99999999999999999999")));
  const absl::Status own = Refusal(NoDocker(), "/proc/self/ns/net");
  CHECK(absl::IsFailedPrecondition(own));
  CHECK(std::string(own.message()).find("/proc/self/ns/net is in the host's own network namespace") == 0);
  CHECK(absl::IsFailedPrecondition(Refusal(NoDocker(), absl::StrCat(::getpid()))));
}

TEST_CASE("Without a Docker daemon to ask, names are refused and say what to give instead", "[host][sandbox]") {
  SandboxOptions options;
  options.docker.address = "";
  const absl::Status refusal = Refusal(options, "web");
  CHECK(absl::IsFailedPrecondition(refusal));
  CHECK(std::string(refusal.message()).find("--docker-api is blank") != std::string::npos);
}

TEST_CASE("A remembered namespace is recognised by its inode", "[host][sandbox]") {
  if (!HostWorld::Possible()) return;
  IdleProcess process;
  const std::string path = absl::StrCat("/proc/", process.pid(), "/ns/net");
  const std::uint64_t inode = NetNs::Open(path)->inode();
  CHECK(OpenSandbox(path, inode, "/proc").value().has_value());
  CHECK_FALSE(OpenSandbox(path, 1, "/proc").value().has_value());  // the pid is another process's by now
  process.End();
  CHECK_FALSE(OpenSandbox(path, inode, "/proc").value().has_value());
}

TEST_CASE("A remembered namespace is found as long as a process is in it", "[host][sandbox]") {
  if (!HostWorld::Possible()) return;
  IdleProcess process;
  const std::uint64_t inode = NetNs::OfPid(process.pid())->inode();
  for (const char* stale :
       {"/proc/4999999/ns/net", "/proc/self/ns/net", "/etc/passwd"}) {  // the last: an unmounted name
    INFO(stale);
    const std::optional<NetNs> ns = OpenSandbox(stale, inode, "/proc").value();
    REQUIRE(ns.has_value());
    CHECK(ns->inode() == inode);
  }
  CHECK(OpenSandbox("/etc/passwd", inode, "/proc/self/root/proc").value().has_value());
  CHECK_FALSE(OpenSandbox("/etc/passwd", inode, "/nowhere").value().has_value());
  process.End();
  CHECK_FALSE(OpenSandbox("/etc/passwd", inode, "/proc").value().has_value());
}

}  // namespace
}  // namespace weave
