// Commands that give and take addresses: attach, detach, expose, hide, prime, rmpeer.
#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/addresses.h"
#include "cli/commands.h"

namespace weave {
namespace {

int RefuseFlag(CommandContext& context, absl::string_view flag) {
  return Fail(context, absl::StrCat("'", flag, "' is not supported in this build"));
}

// The first argument that is one of `flags`, which this build lacks.
const std::string* FindFlag(const CommandContext& context, std::initializer_list<absl::string_view> flags) {
  for (const std::string& arg : context.args)
    for (absl::string_view flag : flags)
      if (arg == flag || absl::StartsWith(arg, absl::StrCat(flag, "="))) return &arg;
  return nullptr;
}

bool HasFlag(const CommandContext& context) {
  return std::any_of(context.args.begin(), context.args.end(),
                     [](const std::string& arg) { return absl::StartsWith(arg, "-"); });
}

// Addresses with the container after them, as attach and detach take them.
struct Target {
  std::vector<std::string> addresses;  // as typed
  std::string container;
};

// Nothing when the arguments are no such thing.
std::optional<Target> SplitTarget(const CommandContext& context) {
  if (context.args.empty() || context.args.back().empty() || LooksLikeAddress(context.args.back())) return std::nullopt;
  // Whatever comes before the last is meant as an address: "10.2.1.1" is named as a bad one, though a container may be
  // called so.
  Target target = {{context.args.begin(), context.args.end() - 1}, context.args.back()};
  // A relative path means something here, not where the peer runs.
  std::error_code error;
  if (absl::StrContains(target.container, '/'))
    target.container = std::filesystem::absolute(target.container, error).lexically_normal();
  return target;
}

int PrintAddresses(CommandContext& context, const absl::StatusOr<v1::AddressList>& list) {
  if (absl::IsFailedPrecondition(list.status()) && absl::EndsWith(list.status().message(), "'net:'")) {
    context.err << list.status().message() << "\n";  // to the letter: contract A2-12
    return kExitFailure;
  }
  if (!list.ok()) return Fail(context, list.status());
  for (const std::string& warning : list->warnings()) context.err << warning << "\n";
  if (list->addresses_size() > 0) context.out << absl::StrJoin(list->addresses(), " ") << "\n";
  return kExitSuccess;
}

template <typename Request>
void SetAddresses(const std::vector<std::string>& addresses, Request& request) {
  *request.mutable_addresses() = {addresses.begin(), addresses.end()};
}

}  // namespace

int RunAttach(CommandContext& context) {
  if (const std::string* flag = FindFlag(context, {"--rewrite-hosts", "--add-host"})) return RefuseFlag(context, *flag);
  if (!ValueOf(context.environment, "AWSVPC").empty()) return RefuseFlag(context, "AWSVPC");
  v1::AttachRequest request;
  request.set_without_dns(TakeFlag(context, "--without-dns"));
  request.set_no_multicast_route(TakeFlag(context, "--no-multicast-route"));
  const std::optional<Target> target = HasFlag(context) ? std::nullopt : SplitTarget(context);
  if (!target) return FailUsage(context);
  const absl::StatusOr<std::vector<std::string>> addresses = ParseAddresses(target->addresses);
  if (!addresses.ok()) return Fail(context, addresses.status());
  request.set_container(target->container);
  SetAddresses(*addresses, request);
  return WithPeer(context, [&](PeerClient& peer) { return PrintAddresses(context, peer.Attach(request)); });
}

int RunDetach(CommandContext& context) {
  const std::optional<Target> target = HasFlag(context) ? std::nullopt : SplitTarget(context);
  if (!target) return FailUsage(context);
  v1::DetachRequest request;
  request.set_container(target->container);
  if (!target->addresses.empty()) {
    const absl::StatusOr<std::vector<std::string>> addresses = ParseAddresses(target->addresses);
    if (!addresses.ok()) return Fail(context, addresses.status());
    SetAddresses(*addresses, request);
  }
  return WithPeer(context, [&](PeerClient& peer) { return PrintAddresses(context, peer.Detach(request)); });
}

int RunExpose(CommandContext& context) {
  v1::ExposeRequest request;
  request.set_without_masquerade(TakeFlag(context, "--without-masquerade"));
  if (const auto flag = std::find(context.args.begin(), context.args.end(), "-h"); flag != context.args.end()) {
    if (context.args.end() - flag < 2) return FailUsage(context);
    request.set_name(flag[1]);
    context.args.erase(flag, flag + 2);
  }
  if (HasFlag(context)) return FailUsage(context);
  const absl::StatusOr<std::vector<std::string>> addresses = ParseAddresses(context.args);
  if (!addresses.ok()) return Fail(context, addresses.status());
  SetAddresses(*addresses, request);
  return WithPeer(context, [&](PeerClient& peer) { return PrintAddresses(context, peer.Expose(request)); });
}

int RunHide(CommandContext& context) {
  if (HasFlag(context)) return FailUsage(context);
  v1::HideRequest request;
  if (!context.args.empty()) {
    const absl::StatusOr<std::vector<std::string>> addresses = ParseAddresses(context.args);
    if (!addresses.ok()) return Fail(context, addresses.status());
    SetAddresses(*addresses, request);
  }
  return WithPeer(context, [&](PeerClient& peer) { return PrintAddresses(context, peer.Hide(request)); });
}

int RunPrime(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    const absl::Status primed = peer.AwaitRing();
    if (absl::IsNotFound(primed)) return kExitNotFound;  // contract A2-06
    return primed.ok() ? kExitSuccess : Fail(context, primed);
  });
}

int RunRmpeer(CommandContext& context) {
  const bool force = TakeFlag(context, "--force");
  if (context.args.empty() || HasFlag(context)) return FailUsage(context);
  return WithPeer(context, [&](PeerClient& peer) {
    for (const std::string& gone : context.args) {
      const absl::StatusOr<std::uint64_t> count = peer.TakeOver(gone, force);
      if (!count.ok()) return Fail(context, count.status());
      context.out << *count << " IPs taken over from " << gone << "\n";
    }
    return kExitSuccess;
  });
}

}  // namespace weave
