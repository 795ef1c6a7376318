// What launches leave on this host, and how that is taken away: `weave reset` takes all, a launch whose peer did not
// get ready what it made itself. When launch was killed its supervisor does so.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/instance.h"
#include "cli/launch_state.h"

namespace weave {

// Removes what a peer that no longer runs left in the kernel. `weaver`: path of the program.
absl::Status CleanUpHost(const LaunchState& state, absl::string_view weaver);

// The store and damaged files that were set aside (io/record_store.h).
absl::Status RemoveStore(const LaunchState& state);

// Of one launch; the members from `previous_state` on say what was there before it.
struct LaunchTraces {
  Instance instance;
  LaunchState state;
  std::string weaver;                              // path of the program
  std::optional<std::string> previous_state = {};  // content of the launch state's file
  bool made_run_directory = false;
  bool had_bridge = false;  // or datapath
  bool had_store = false;
};

// How a peer that never got ready ended.
enum class PeerEnd {
  kTookBack,  // by itself: it took back what it had made
  kKilled,    // it could not
};

// To be called once the peer has ended, under the launch lock. Where the peer was killed on a host that had no bridge,
// bridge and rules go; should that fail, the launch state stays, so that `weave reset --force` knows what to remove.
absl::Status TakeBackLaunch(const LaunchTraces& traces, PeerEnd end);

}  // namespace weave
