#include "host/sandbox.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace weave {
namespace {

// As many characters as a host-side interface name takes (spec/overlay.md section 6.1).
constexpr std::size_t kLinkIdSize = 7;

bool IsPid(absl::string_view text) {
  return text.size() != 12 && text.size() != 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c));
         });
}

absl::Status OwnNamespace(absl::string_view display) {
  return absl::FailedPreconditionError(absl::StrCat(
      display, " is in the host's own network namespace; only a container with its own network can be attached"));
}

// Fills in what follows from the namespace.
absl::StatusOr<Sandbox> Finish(Sandbox sandbox, const NetNs& ns) {
  ASSIGN_OR_RETURN(NetNs own, NetNs::Current());
  if (ns.SameAs(own)) return OwnNamespace(sandbox.display);
  sandbox.netns_inode = ns.inode();
  if (sandbox.ident.empty()) sandbox.ident = NetNsIdent(ns.inode());
  if (sandbox.link_id.empty()) sandbox.link_id = NetNsIdent(ns.inode()).substr(12 - kLinkIdSize);
  return sandbox;
}

absl::StatusOr<Sandbox> ResolvePath(absl::string_view path) {
  ASSIGN_OR_RETURN(NetNs ns, NetNs::Open(path));
  Sandbox sandbox;
  sandbox.netns_path = std::string(path);
  sandbox.display = std::string(path);
  return Finish(std::move(sandbox), ns);
}

absl::StatusOr<Sandbox> ResolvePid(const SandboxOptions& options, absl::string_view text) {
  pid_t pid = 0;
  if (!absl::SimpleAtoi(text, &pid) || pid <= 0) return absl::NotFoundError(absl::StrCat("no process ", text));
  ASSIGN_OR_RETURN(NetNs ns, NetNs::OfPid(pid, options.proc_path));
  Sandbox sandbox;
  sandbox.netns_path = absl::StrCat(options.proc_path, "/", pid, "/ns/net");
  sandbox.display = absl::StrCat("pid ", pid);
  sandbox.link_id = absl::StrCat(pid);
  return Finish(std::move(sandbox), ns);
}

absl::StatusOr<Sandbox> ResolveContainer(const SandboxOptions& options, absl::string_view text) {
  if (options.docker.address.empty())
    return absl::FailedPreconditionError(
        absl::StrCat("cannot look up container \"", absl::Utf8SafeCHexEscape(text),
                     "\": this peer runs without Docker (--docker-api is blank); want a pid or a namespace path"));
  ASSIGN_OR_RETURN(DockerContainer container, InspectContainer(options.docker, text));
  const std::string display = container.name.empty() ? std::string(text) : container.name;
  if (!container.running)
    return absl::FailedPreconditionError(absl::StrCat("container \"", display, "\" is not running"));
  if (container.network_mode == "host") return OwnNamespace(absl::StrCat("container \"", display, "\""));
  absl::StatusOr<NetNs> ns = NetNs::OfPid(container.pid, options.proc_path);
  if (absl::IsNotFound(ns.status()))  // it ended since Docker answered, or Docker is on another machine
    return absl::FailedPreconditionError(
        absl::StrCat("container \"", display, "\" is not running on this host (no process ", container.pid, ")"));
  if (!ns.ok()) return Annotate(ns.status(), absl::StrCat("container \"", display, "\""));
  Sandbox sandbox;
  sandbox.ident = container.id;
  sandbox.hostname = container.hostname;
  sandbox.netns_path = absl::StrCat(options.proc_path, "/", container.pid, "/ns/net");
  sandbox.display = display;
  sandbox.link_id = absl::StrCat(container.pid);
  return Finish(std::move(sandbox), *ns);
}

std::optional<NetNs> OpenIf(absl::string_view path, std::uint64_t inode) {
  absl::StatusOr<NetNs> ns = NetNs::Open(path);
  if (!ns.ok() || ns->inode() != inode) return std::nullopt;
  return *std::move(ns);
}

// From what a link in /proc and the root of a mount say of a network namespace: `net:[4026531840]`.
std::optional<std::uint64_t> NsfsInode(absl::string_view name) {
  std::uint64_t inode = 0;
  if (!absl::ConsumePrefix(&name, "net:[") || !absl::ConsumeSuffix(&name, "]") || !absl::SimpleAtoi(name, &inode))
    return std::nullopt;
  return inode;
}

using NetNsVisitor = absl::FunctionRef<bool(const std::string& path, std::uint64_t inode)>;

// True: the visitor has ended it.
bool VisitMounted(NetNsVisitor visit) {
  std::ifstream mounts("/proc/thread-self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() < 5) continue;
    const std::optional<std::uint64_t> inode = NsfsInode(fields[3]);
    if (inode.has_value() && visit(fields[4], *inode)) return true;
  }
  return false;
}

void VisitByProcess(absl::string_view proc_path, NetNsVisitor visit) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(std::string(proc_path), error), end; !error && entry != end;
       entry.increment(error)) {
    if (!IsPid(entry->path().filename().string())) continue;
    const std::filesystem::path link = entry->path() / "ns/net";
    std::error_code unreadable;  // it ended, or is about to
    const std::optional<std::uint64_t> inode = NsfsInode(std::filesystem::read_symlink(link, unreadable).string());
    if (inode.has_value() && visit(link.string(), *inode)) return;
  }
}

}  // namespace

absl::StatusOr<Sandbox> ResolveSandbox(const SandboxOptions& options, absl::string_view text) {
  if (text.empty())
    return absl::InvalidArgumentError("no container given (want a container name or id, a pid, or a namespace path)");
  if (std::any_of(text.begin(), text.end(), [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }))
    return absl::InvalidArgumentError(absl::StrCat("\"", absl::Utf8SafeCHexEscape(text), "\" has control characters"));
  if (absl::StartsWith(text, "/")) return ResolvePath(text);
  if (IsPid(text)) return ResolvePid(options, text);
  return ResolveContainer(options, text);
}

absl::StatusOr<std::optional<NetNs>> OpenSandbox(absl::string_view path, std::uint64_t inode,
                                                 absl::string_view proc_path) {
  absl::StatusOr<NetNs> ns = NetNs::Open(path);
  if (ns.ok() && ns->inode() == inode) return std::optional<NetNs>(*std::move(ns));
  // A `/run/netns` name whose namespace was unmounted is an empty file.
  if (!ns.ok() && !absl::IsNotFound(ns.status()) && !absl::IsInvalidArgument(ns.status())) return ns.status();
  std::optional<NetNs> found;
  VisitNetNs(proc_path, [&](const std::string& other_path, std::uint64_t other) {
    if (other == inode) found = OpenIf(other_path, inode);
    return found.has_value();
  });
  return found;
}

std::string NetNsIdent(std::uint64_t inode) { return absl::StrFormat("%012x", inode & 0xffff'ffff'ffff); }

void VisitNetNs(absl::string_view proc_path, NetNsVisitor visit) {
  if (!VisitMounted(visit)) VisitByProcess(proc_path, visit);
}

}  // namespace weave
