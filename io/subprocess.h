// Runs a program without a shell and waits for it, with a deadline and bounded output. For worker threads and commands;
// never for the loop.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/time.h"

namespace weave {

struct SubprocessOptions {
  std::vector<std::string> argv = {};  // argv[0]: a path, or a name looked up in PATH
  std::string input = {};              // standard input; empty: /dev/null
  Duration timeout = absl::Seconds(30);
  std::size_t max_output_size = 1 << 20;  // bytes kept of each of the two outputs; the rest is read and dropped

  // Descriptor of the network namespace to run in; -1: the caller's. Not owned.
  int netns_fd = -1;

  // Added to our environment, replacing what has the same name.
  std::vector<std::pair<std::string, std::string>> environment = {};
};

struct SubprocessResult {
  int exit_status = 0;  // of the program; 128 + the signal that killed it
  std::string output;
  std::string error_output;
  bool truncated = false;  // one of the outputs was larger than kept

  bool succeeded() const { return exit_status == 0; }
};

// OK means the program ran and ended by itself, whatever its exit status. NotFound or PermissionDenied when it cannot
// be started, DeadlineExceeded when it was killed for taking too long (it alone: what it started is not), naming the
// program. Returns when the program ends, even if a child of it still holds the outputs. Any thread; uses no signal
// handler. The program starts with default signal handling and nothing blocked.
absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessOptions& options);

// RunSubprocess, where an exit status other than 0 is an Internal error quoting the last line of the program's error
// output.
absl::StatusOr<SubprocessResult> RunSuccessfully(const SubprocessOptions& options);

}  // namespace weave
