// Commands that only ask: status, report, version, ps, bridge-type, docker-bridge-ip.
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/docker_bridge.h"
#include "cli/weaver_program.h"

namespace weave {
namespace {

const std::set<std::string>& StatusPages() {
  static const std::set<std::string> kPages = {"targets", "connections", "peers", "dns", "ipam"};
  return kPages;
}

// The version of the peer that runs; of the program that would be launched when none does or it does not say.
absl::StatusOr<std::string> VersionOfPeer(const CommandContext& context) {
  absl::StatusOr<PeerClient> client = PeerClient::Connect(context.instance.api_socket);
  if (client.ok())
    if (const absl::StatusOr<v1::PeerInfo> info = client->GetInfo(); info.ok()) return info->version();
  return VersionOfWeaver(context.environment);
}

}  // namespace

int RunStatus(CommandContext& context) {
  if (context.args.size() > 1) return FailUsage(context);
  const std::string page = context.args.empty() ? "" : context.args[0];
  if (!page.empty() && StatusPages().count(page) == 0) {
    context.err << "Invalid 'weave status' sub-command: " << page << "\n";
    return FailUsage(context);
  }
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::StatusOr<std::string> text = peer.GetStatus(page);
    if (absl::IsNotFound(text.status())) return kExitNotFound;
    if (!text.ok()) return Fail(context, text.status());
    context.out << *text;
    return kExitSuccess;
  });
}

int RunReport(CommandContext& context) {
  std::optional<std::string> format;
  if (context.args.size() == 2 && context.args[0] == "-f")
    format = context.args[1];
  else if (!context.args.empty())
    return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::StatusOr<std::string> report = peer.GetReport(format);
    if (!report.ok()) return Fail(context, report.status());
    context.out << *report;
    return kExitSuccess;
  });
}

int RunVersion(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  context.out << "weave script " << kVersion << "\n";
  const absl::StatusOr<std::string> version = VersionOfPeer(context);
  if (!version.ok()) return Fail(context, version.status());
  context.out << "weave " << *version << "\n";
  return kExitSuccess;
}

int RunPs(CommandContext& context) {
  v1::ListEndpointsRequest request;
  for (const std::string& container : context.args) request.add_containers(container);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::StatusOr<v1::EndpointList> list = peer.ListEndpoints(request);
    if (!list.ok()) return Fail(context, list.status());
    for (const v1::EndpointList::Endpoint& endpoint : list->endpoints()) {
      // A container's id is shown as Docker does, by its first 12 digits; `weave:expose` is not one.
      const bool is_id = endpoint.id().find(':') == std::string::npos;
      context.out << (is_id ? endpoint.id().substr(0, 12) : endpoint.id()) << " " << endpoint.mac();
      for (const std::string& address : endpoint.addresses()) context.out << " " << address;
      context.out << "\n";
    }
    return kExitSuccess;
  });
}

int RunBridgeType(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::StatusOr<v1::PeerInfo> info = peer.GetInfo();
    if (!info.ok()) return Fail(context, info.status());
    context.out << info->bridge_type() << "\n";
    return kExitSuccess;
  });
}

int RunDockerBridgeIp(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  if (const std::optional<std::string> address = DockerBridgeIp(context.environment)) {
    context.out << *address << "\n";
    return kExitSuccess;
  }
  return Fail(context, absl::StrCat("\"", DockerBridge(context.environment),
                                    "\" is no interface with an IPv4 address (DOCKER_BRIDGE names another)"));
}

}  // namespace weave
