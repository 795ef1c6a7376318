// Who listens where: /proc/net/tcp and its kin name sockets by number, /proc/PID/fd says whose they are.
#include <arpa/inet.h>
#include <dirent.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "doctor/os/gather.h"
#include "io/file.h"

namespace weave {
namespace {

// proc(5), /proc/net/tcp: columns of a line, from 0.
constexpr std::size_t kLocalColumn = 1;
constexpr std::size_t kStateColumn = 3;
constexpr std::size_t kInodeColumn = 9;
constexpr absl::string_view kListening = "0A";    // TCP_LISTEN
constexpr absl::string_view kUnconnected = "07";  // of UDP: TCP_CLOSE

// A host with very many connections has a long table.
constexpr std::size_t kMaxTableSize = 256 << 20;

struct ListeningSocket {
  std::optional<IpAddress> address;  // none: everywhere
  std::uint16_t port = 0;
  std::string inode;  // its number, as /proc/PID/fd has it
};

// "0100007F", and 32 digits for IPv6: words in the order of this host's bytes.
std::optional<IpAddress> AddressOf(absl::string_view hex) {
  constexpr absl::string_view kMapped = "0000000000000000FFFF0000";
  absl::ConsumePrefix(&hex, kMapped);
  if (hex.find_first_not_of('0') == absl::string_view::npos) return std::nullopt;
  std::uint32_t word = 0;
  if (hex.size() == 8 && absl::SimpleHexAtoi(hex, &word)) return IpAddress::V4(ntohl(word));
  return IpAddress::V6(1);  // some address of IPv6, at which a peer does not listen
}

std::vector<ListeningSocket> SocketsOf(const std::string& proc_path, const std::string& protocol) {
  std::vector<ListeningSocket> sockets;
  const absl::string_view state = protocol == "TCP" ? kListening : kUnconnected;
  for (const char* family : {"", "6"}) {
    const absl::StatusOr<std::string> table =
        ReadSmallFile(absl::StrCat(proc_path, "/net/", absl::AsciiStrToLower(protocol), family), kMaxTableSize);
    if (!table.ok()) continue;  // a kernel without IPv6
    for (absl::string_view line : absl::StrSplit(*table, '\n')) {
      const std::vector<absl::string_view> columns = absl::StrSplit(line, ' ', absl::SkipEmpty());
      if (columns.size() <= kInodeColumn || columns[kStateColumn] != state) continue;
      const std::pair<absl::string_view, absl::string_view> local = absl::StrSplit(columns[kLocalColumn], ':');
      std::uint32_t port = 0;
      if (absl::SimpleHexAtoi(local.second, &port))
        sockets.push_back(
            {AddressOf(local.first), static_cast<std::uint16_t>(port), std::string(columns[kInodeColumn])});
    }
  }
  return sockets;
}

// Both cannot be had at once.
bool Collide(const PortFacts& port, const ListeningSocket& socket) {
  if (port.port != socket.port) return false;
  return !port.address.has_value() || !socket.address.has_value() || *port.address == *socket.address;
}

// Of the sockets that `wanted` names the processes that have them open: by number.
std::map<std::string, int> HoldersOf(const std::string& proc_path, const std::set<std::string>& wanted) {
  std::map<std::string, int> holders;
  const std::unique_ptr<DIR, int (*)(DIR*)> processes(::opendir(proc_path.c_str()), &::closedir);
  if (processes == nullptr) return holders;
  while (const dirent* process = ::readdir(processes.get())) {
    int pid = 0;
    if (!absl::SimpleAtoi(process->d_name, &pid)) continue;
    const std::string directory = absl::StrCat(proc_path, "/", pid, "/fd");
    const std::unique_ptr<DIR, int (*)(DIR*)> files(::opendir(directory.c_str()), &::closedir);
    if (files == nullptr) continue;  // it has just ended
    while (const dirent* file = ::readdir(files.get())) {
      std::array<char, PATH_MAX> target;
      const ssize_t size = ::readlink(absl::StrCat(directory, "/", file->d_name).c_str(), target.data(), target.size());
      if (size <= 0) continue;
      absl::string_view name(target.data(), static_cast<std::size_t>(size));
      if (!absl::ConsumePrefix(&name, "socket:[") || !absl::ConsumeSuffix(&name, "]")) continue;
      if (wanted.count(std::string(name)) != 0) holders.emplace(std::string(name), pid);
    }
  }
  return holders;
}

}  // namespace

void GatherPorts(const std::string& proc_path, int peer_pid, std::vector<PortFacts>& ports) {
  std::map<std::string, std::vector<ListeningSocket>> sockets;
  for (const char* protocol : {"TCP", "UDP"}) sockets[protocol] = SocketsOf(proc_path, protocol);
  std::set<std::string> wanted;
  for (const PortFacts& port : ports)
    for (const ListeningSocket& socket : sockets[port.protocol])
      if (Collide(port, socket)) wanted.insert(socket.inode);
  if (wanted.empty()) return;
  const std::map<std::string, int> holders = HoldersOf(proc_path, wanted);
  for (PortFacts& port : ports) {
    for (const ListeningSocket& socket : sockets[port.protocol]) {
      if (!Collide(port, socket)) continue;
      const auto holder = holders.find(socket.inode);
      const int pid = holder == holders.end() ? 0 : holder->second;
      if (!port.bound || (peer_pid != 0 && pid == peer_pid)) port.pid = pid;
      port.bound = true;
    }
    if (port.pid == 0) continue;
    const absl::StatusOr<std::string> name = ReadSmallFile(absl::StrCat(proc_path, "/", port.pid, "/comm"));
    port.program = name.ok() ? std::string(absl::StripTrailingAsciiWhitespace(*name)) : "a process";
  }
}

}  // namespace weave
