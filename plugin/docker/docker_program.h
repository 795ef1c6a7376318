// weave-plugin: the daemon that serves Docker on this host, as a program.
#pragma once

#include <string>
#include <vector>

namespace weave {

// Runs until it is told to end; the exit status. `args` without the program's name. Threads may still run afterwards:
// the caller ends the process without destroying anything.
int RunDockerProgram(const std::vector<std::string>& args);

}  // namespace weave
