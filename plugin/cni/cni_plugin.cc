#include "plugin/cni/cni_plugin.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "plugin/cni/cni_config.h"
#include "plugin/cni/cni_context.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_ipam.h"
#include "plugin/cni/cni_network.h"
#include "plugin/cni/cni_result.h"

namespace weave {
namespace {

absl::StatusOr<std::string> ReadInput(std::istream& in) {
  std::string input;
  char buffer[4096];
  do {
    in.read(buffer, sizeof buffer);
    input.append(buffer, static_cast<std::size_t>(in.gcount()));
  } while (in.good() && input.size() <= kMaxCniInputSize);
  if (in.bad()) return CniFailure(CniCode::kIoFailure, "cannot read the network configuration from standard input");
  if (input.size() > kMaxCniInputSize)
    return CniFailure(CniCode::kIoFailure,
                      absl::StrCat("the network configuration is too long: want at most ", kMaxCniInputSize, " bytes"));
  return input;
}

// Commands that came later than the configuration's version.
absl::Status CheckCommand(CniCommand command, const CniConfig& config) {
  const bool known = command == CniCommand::kCheck                                  ? HasCheck(config.version)
                     : command == CniCommand::kGc || command == CniCommand::kStatus ? HasGc(config.version)
                                                                                    : true;
  if (known) return absl::OkStatus();
  return CniFailure(CniCode::kIncompatibleVersion, absl::StrCat("config version does not allow ", ToString(command)),
                    absl::StrCat("cniVersion is ", ToString(config.version), ", want at least ",
                                 command == CniCommand::kCheck ? "0.4.0" : "1.1.0"));
}

absl::Status CheckForGc(const CniConfig& config) {
  if (config.name.empty())
    return CniFailure(CniCode::kInvalidConfig, "name is missing: which network's attachments are valid?");
  if (!config.valid_attachments)
    return CniFailure(CniCode::kInvalidConfig, "cni.dev/valid-attachments is missing: want a list, perhaps empty");
  return absl::OkStatus();
}

absl::StatusOr<std::string> Print(const absl::StatusOr<v1::CniResult>& result, CniVersion version) {
  if (!result.ok()) return result.status();
  return PrintCniResult(*result, version);
}

// What weave-ipam does, and weave-net's part of it.
absl::StatusOr<v1::CniResult> AddressesAlone(CniContext& context) {
  ASSIGN_OR_RETURN(v1::CniResult result, AcquireAddresses(context));
  if (context.config.dns.ByteSizeLong() > 0) *result.mutable_dns() = context.config.dns;
  return result;
}

absl::Status CheckAddressesAlone(CniContext& context) {
  if (!context.config.prev_result)
    return CniFailure(CniCode::kInvalidConfig, "prevResult is missing: CHECK compares with what ADD returned");
  ASSIGN_OR_RETURN(const v1::CniResult result, ParseCniResult(*context.config.prev_result));
  std::vector<Cidr> addresses;
  for (const v1::CniIp& ip : result.ips()) {
    ASSIGN_OR_RETURN(const Cidr address, Cidr::Parse(ip.address()));
    addresses.push_back(address);
  }
  return CheckAddresses(context, addresses);
}

// What goes to standard output.
absl::StatusOr<std::string> Perform(CniPlugin plugin, CniContext& context) {
  RETURN_IF_ERROR(CheckCommand(context.call.command, context.config));
  const bool network = plugin == CniPlugin::kNetwork;
  absl::Status done;
  switch (context.call.command) {
    case CniCommand::kAdd:
      return Print(network ? AddAttachment(context) : AddressesAlone(context), context.config.version);
    case CniCommand::kDel:
      done = network ? RemoveAttachment(context) : ReleaseAddresses(context);
      break;
    case CniCommand::kCheck:
      done = network ? CheckAttachment(context) : CheckAddressesAlone(context);
      break;
    case CniCommand::kGc:
      RETURN_IF_ERROR(CheckForGc(context.config));
      done = network ? CollectAttachments(context) : CollectAddresses(context);
      break;
    case CniCommand::kStatus:
      done = network ? CheckNetworkReady(context) : CheckAddressesReady(context);
      break;
    case CniCommand::kVersion:
      break;  // needs no configuration that holds
  }
  if (!done.ok()) return done;
  return "";
}

absl::StatusOr<std::string> Serve(CniPlugin plugin, const CniEnvironment& environment, std::istream& in,
                                  std::ostream& err, std::optional<PeerClient>& peer, std::string& version) {
  ASSIGN_OR_RETURN(const CniCall call, ReadCniCall(environment));
  ASSIGN_OR_RETURN(const std::string input, ReadInput(in));
  version = FindCniVersion(input);
  if (call.command == CniCommand::kVersion) return PrintCniVersions(version);
  ASSIGN_OR_RETURN(CniConfig config, ParseCniConfig(input));
  if (plugin == CniPlugin::kIpam) config.ipam_type.clear();  // that is us, by whatever name
  version = std::string(ToString(config.version));
  CniContext context = {.call = call,
                        .config = config,
                        .input = input,
                        .environment = environment,
                        .err = err,
                        .upkeep = plugin == CniPlugin::kNetwork ? v1::UPKEEP_INTERFACE : v1::UPKEEP_HOLDER,
                        .peer = peer};
  return Perform(plugin, context);
}

}  // namespace

std::optional<CniPlugin> FindCniPlugin(absl::string_view program) {
  if (program == "weave-net") return CniPlugin::kNetwork;
  if (program == "weave-ipam") return CniPlugin::kIpam;
  return std::nullopt;
}

int RunCni(CniPlugin plugin, const CniEnvironment& environment, std::istream& in, std::ostream& out, std::ostream& err,
           std::optional<PeerClient>& peer) {
  std::string version;  // of the configuration, as soon as it is known
  const absl::StatusOr<std::string> output = Serve(plugin, environment, in, err, peer, version);
  out << (output.ok() ? *output : PrintCniError(output.status(), version));
  return output.ok() ? 0 : 1;
}

}  // namespace weave
