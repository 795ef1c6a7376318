// The plugins for container runtimes, one program under several names. This file is the map: what it is called as says
// what it is.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "client/peer_client.h"
#include "plugin/cni/cni_plugin.h"
#include "plugin/docker/docker_program.h"

namespace {

constexpr char kDockerProgram[] = "weave-plugin";

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

int Run(const std::string& name, const std::vector<std::string>& args, std::optional<weave::PeerClient>& peer) {
  if (const std::optional<weave::CniPlugin> plugin = weave::FindCniPlugin(name)) {
    const int status = weave::RunCni(*plugin, ::getenv, std::cin, std::cout, std::cerr, peer);
    return std::cout.flush() ? status : 1;
  }
  // A runtime that calls it by this name would wait for ever.
  const bool is_cni_call = ::getenv("CNI_COMMAND") != nullptr;
  if (name == kDockerProgram && !is_cni_call) return weave::RunDockerProgram(args);
  std::cerr << name << ": this program is the CNI plugin when called weave-net or weave-ipam, and Docker's when called "
            << kDockerProgram << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  OpenStandardDescriptors();
  ::signal(SIGPIPE, SIG_IGN);
  std::optional<weave::PeerClient> peer;  // never destroyed
  const int status =
      Run(NameOf(argc > 0 ? argv[0] : nullptr), std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc), peer);
  std::fflush(stderr);
  // Not exit(): threads may still run and must not see destroyed objects, and joining gRPC's takes longer than all
  // else.
  ::_exit(status);
}
