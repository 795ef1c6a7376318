// The plugins for container runtimes, one program under several names: plugin/cni/cni_plugin.h.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "plugin/cni/cni_plugin.h"

namespace {

std::string NameOf(const char* path) {
  const std::string text = path == nullptr ? "" : path;
  return text.substr(text.rfind('/') + 1);
}

// Started without standard descriptors, the first files we open would take their places.
void OpenStandardDescriptors() {
  while (true) {
    const int fd = ::open("/dev/null", O_RDWR);
    if (fd > STDERR_FILENO || fd < 0) {
      if (fd >= 0) ::close(fd);
      return;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  OpenStandardDescriptors();
  ::signal(SIGPIPE, SIG_IGN);
  const std::string name = NameOf(argc > 0 ? argv[0] : nullptr);
  const std::optional<weave::CniPlugin> plugin = weave::FindCniPlugin(name);
  if (!plugin) {
    std::cerr << name << ": this program is the CNI plugin weave-net or weave-ipam when called by that name\n";
    return 1;
  }
  int exit_status = weave::RunCni(*plugin, ::getenv, std::cin, std::cout, std::cerr);
  if (!std::cout.flush()) exit_status = 1;
  // gRPC's threads have nothing left to do, and joining them takes longer than all the rest.
  ::_exit(exit_status);
}
