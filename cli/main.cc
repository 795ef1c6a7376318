// The `weave` command: see cli/commands.h.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "cli/commands.h"

int main(int argc, char** argv) {
  // Started without standard descriptors, the first files we open would take their places.
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO || fd < 0) {
      if (fd >= 0) ::close(fd);
      break;
    }
  }
  ::signal(SIGPIPE, SIG_IGN);
  const std::vector<std::string> args(argv + 1, argv + argc);
  int exit_status = weave::RunWeave(args, ::getenv, std::cout, std::cerr);
  errno = 0;
  if (!std::cout.flush()) {
    std::cerr << "weave: write standard output: " << std::strerror(errno == 0 ? EIO : errno) << "\n";
    if (exit_status == weave::kExitSuccess) exit_status = weave::kExitFailure;
  }
  // gRPC's threads have nothing left to do, and joining them takes longer than all the rest.
  ::_exit(exit_status);
}
