// From the arguments and the environment of `weave launch` to the command line of `weaver`. Pure but for one question.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cli/instance.h"
#include "cli/launch_state.h"

namespace weave {

struct LaunchPlan {
  bool supervised = true;                // not --no-restart
  std::vector<std::string> weaver_args;  // without the program's name
  std::vector<std::string> plugin_args;  // the same of weave-plugin; empty: there is to be none
  bool plugin_asked = false;             // by a flag, and not by default
  LaunchState state;
};

// Whether this host has a network interface of that name.
using LinkExists = std::function<bool(absl::string_view name)>;

// What stands in weaver_args for the plugin that is there by default.
inline constexpr char kDefaultPluginFlag[] = "--plugin";

// `dns_address`: where names are served unless a flag says otherwise; empty: weaver's choice.
//
// Flags that weaver knows are its to check; what the environment gives comes before them, so that a flag wins. An empty
// or newline-bearing path, and a relative unix socket for -H (contract A2-04), are InvalidArgument.
absl::StatusOr<LaunchPlan> PlanLaunch(absl::Span<const std::string> args, const Instance& instance,
                                      const Environment& environment, const LinkExists& link_exists,
                                      const std::string& dns_address = "");

}  // namespace weave
