// Unix sockets by which others reach the peer and its plugin: is anybody behind the file?
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "doctor/os/gather.h"
#include "io/fd.h"

namespace weave {
namespace {

// A queue that is full (EAGAIN) is somebody's.
bool SomebodyListens(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return true;  // no socket can be there: not ours to judge
  std::memcpy(address.sun_path, path.c_str(), path.size());
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 || errno != ECONNREFUSED;
}

bool IsSocket(const std::string& path) {
  struct stat file = {};
  return ::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode);
}

}  // namespace

std::vector<SocketFacts> GatherSockets(const GatherOptions& options) {
  std::vector<SocketFacts> sockets;
  if (IsSocket(options.api_socket))
    sockets.push_back({options.api_socket, /*of_plugin=*/false, SomebodyListens(options.api_socket)});
  for (const std::string& path : options.plugin_sockets)
    if (IsSocket(path)) sockets.push_back({path, /*of_plugin=*/true, SomebodyListens(path)});
  return sockets;
}

}  // namespace weave
