// The one table of everything `weave` can be asked, and what is printed about it.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/command.h"

namespace weave {

enum class CommandKind {
  kShown,    // in the usage
  kHidden,   // works, for scripts
  kRemoved,  // was removed by Weave Net 2.0 (contract A1-05)
  kLater,    // of Weave Net 2.8, not in this build
};

struct Command {
  const char* name;
  CommandKind kind;
  int (*run)(CommandContext&) = nullptr;  // kShown and kHidden only
  const char* synopsis = "";              // what follows the name; further lines are aligned by UsageText
};

absl::Span<const Command> Commands();

// Null when there is none of that name.
const Command* FindCommand(absl::string_view name);

// The usage of all commands, or of one that is shown or hidden (of all when it is neither), without a final newline.
std::string UsageText();
std::string UsageOf(absl::string_view command);

// The whole program: `args` is the command line without the program's name. Returns the exit status.
int RunWeave(absl::Span<const std::string> args, const Environment& environment, std::ostream& out, std::ostream& err);

// The commands themselves, by file.
int RunLaunch(CommandContext& context);  // launch.cc
int RunStop(CommandContext& context);    // stop.cc
int RunReset(CommandContext& context);   // reset.cc
int RunStatus(CommandContext& context);  // query_commands.cc
int RunReport(CommandContext& context);
int RunVersion(CommandContext& context);
int RunPs(CommandContext& context);
int RunDeleteDatapath(CommandContext& context);
int RunBridgeType(CommandContext& context);
int RunDockerBridgeIp(CommandContext& context);
int RunSetupCni(CommandContext& context);  // setup_cni.cc
int RunDoctor(CommandContext& context);    // doctor.cc
int RunConnect(CommandContext& context);   // peering_commands.cc
int RunForget(CommandContext& context);
int RunAttach(CommandContext& context);  // address_commands.cc
int RunDetach(CommandContext& context);
int RunExpose(CommandContext& context);
int RunHide(CommandContext& context);
int RunDnsAdd(CommandContext& context);  // name_commands.cc
int RunDnsRemove(CommandContext& context);
int RunDnsLookup(CommandContext& context);
int RunDnsArgs(CommandContext& context);
int RunPrime(CommandContext& context);  // address_commands.cc
int RunRmpeer(CommandContext& context);

}  // namespace weave
