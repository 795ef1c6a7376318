// weave setup-cni: puts the CNI plugins where this host's container runtimes look for them (contract A2-02).
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/weaver_program.h"
#include "io/file.h"

namespace weave {
namespace {

constexpr std::size_t kMaxProgramSize = std::size_t{1} << 30;
constexpr std::size_t kMaxConflistSize = 1 << 20;
constexpr char kConfigDirectory[] = "/etc/cni/net.d";

// The same as cni-conf/10-weave.conflist.
constexpr char kConflist[] = R"({
    "cniVersion": "0.3.0",
    "name": "weave",
    "plugins": [
        {
            "name": "weave",
            "type": "weave-net",
            "hairpinMode": HAIRPIN_MODE
        },
        {
            "type": "portmap",
            "capabilities": {"portMappings": true},
            "snat": true
        }
    ]
}
)";

absl::StatusOr<std::string> HairpinMode(const Environment& environment) {
  std::string mode = ValueOf(environment, "HAIRPIN_MODE");
  if (mode.empty()) return "true";
  if (mode == "true" || mode == "false") return mode;
  return absl::InvalidArgumentError(absl::StrCat("HAIRPIN_MODE \"", mode, "\": want true or false"));
}

// Under a name with its version, so that a runtime that starts it meanwhile starts one or the other.
absl::Status InstallPlugin(const Environment& environment, const std::string& directory) {
  ASSIGN_OR_RETURN(const std::string weaver, FindWeaver(environment));
  ASSIGN_OR_RETURN(const std::string source, FindPlugin(environment, weaver));
  ASSIGN_OR_RETURN(const std::string program, ReadSmallFile(source, kMaxProgramSize));
  RETURN_IF_ERROR(EnsureDirectory(directory));
  const std::string name = absl::StrCat("weave-plugin-", kVersion);
  const std::string target = absl::StrCat(directory, "/", name);
  const absl::StatusOr<std::string> installed = ReadSmallFile(target, kMaxProgramSize);
  if (!installed.ok() || *installed != program) RETURN_IF_ERROR(WriteFileAtomically(target, program, 0755));
  for (const char* plugin : {"weave-net", "weave-ipam"})
    RETURN_IF_ERROR(ReplaceLinkAtomically(absl::StrCat(directory, "/", plugin), name));
  return absl::OkStatus();
}

// Where there is no such directory there is no runtime to read it. What an administrator wrote stays.
absl::Status InstallConflist(const std::string& directory, const std::string& hairpin_mode) {
  if (absl::IsNotFound(SyncDirectory(directory))) return absl::OkStatus();
  const std::string path = absl::StrCat(directory, "/10-weave.conflist");
  if (absl::IsNotFound(ReadSmallFile(path, kMaxConflistSize).status()))
    RETURN_IF_ERROR(WriteFileAtomically(path, absl::StrReplaceAll(kConflist, {{"HAIRPIN_MODE", hairpin_mode}}), 0644));
  return RemoveIfExists(absl::StrCat(directory, "/10-weave.conf"));  // of Weave Net before 2.2; it would win
}

}  // namespace

int RunSetupCni(CommandContext& context) {
  if (!context.args.empty()) return FailUsage(context);
  if (!RequireRoot(context)) return kExitFailure;
  const absl::StatusOr<std::string> hairpin_mode = HairpinMode(context.environment);
  if (!hairpin_mode.ok()) return Fail(context, hairpin_mode.status());
  const std::string root = ValueOf(context.environment, "HOST_ROOT");
  std::string plugins = ValueOf(context.environment, "WEAVE_CNI_PLUGIN_DIR");
  if (plugins.empty()) plugins = "/opt/cni/bin";
  if (const absl::Status done = InstallPlugin(context.environment, root + plugins); !done.ok())
    return Fail(context, done);
  if (const absl::Status done = InstallConflist(root + kConfigDirectory, *hairpin_mode); !done.ok())
    return Fail(context, done);
  return kExitSuccess;
}

}  // namespace weave
