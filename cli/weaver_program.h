// Where the `weaver` program is, and what it says about itself.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cli/instance.h"

namespace weave {

// $WEAVE_WEAVER (for tests and unusual installations), else `weaver` beside this program, else ../sbin/weaver from
// there, else one of PATH. NotFound names what was looked for.
absl::StatusOr<std::string> FindWeaver(const Environment& environment);

// $WEAVE_PLUGIN, else `weave-plugin` beside `weaver`, the path of that program.
absl::StatusOr<std::string> FindPlugin(const Environment& environment, absl::string_view weaver);

// The X of `weaver version`, which prints "weave X".
absl::StatusOr<std::string> VersionOfWeaver(const Environment& environment);

}  // namespace weave
