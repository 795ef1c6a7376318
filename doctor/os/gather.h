// Looks at this host for `weave doctor`: what it finds are the facts of doctor/facts.h. Reads only: no file, interface,
// rule or module is made, changed or loaded. Blocks, for as long as iptables-save and a walk through /proc take.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"
#include "doctor/facts.h"
#include "host/firewall_rules.h"
#include "host/packet_filter.h"

namespace weave {

struct GatherOptions {
  std::string proc_path = "/proc";
  std::string bridge = "weave";
  std::string datapath;    // empty: the default
  std::string store_path;  // absolute
  std::string api_socket;  // absolute
  std::vector<std::string> plugin_sockets;
  std::uint16_t port = 6783;                                 // of the peer; the data path uses the next one
  std::optional<FirewallConfig> firewall;                    // our rules; none: no peer says which they are
  FirewallBackend firewall_backend = FirewallBackend::kNft;  // through which it keeps them
  std::vector<IpAddress> remotes;                            // of other peers
  std::optional<Cidr> range;                                 // of the allocator
};

// Fills everything but `facts.peer`. `facts.ports` says which ports are of interest; who holds them is added. What
// cannot be looked at is said in `facts.unseen`.
void GatherHost(const GatherOptions& options, DoctorFacts& facts);

// ---- the parts, by file ----

// Of several who listen at a port the peer's process is named, if it is one of them. ports.cc
void GatherPorts(const std::string& proc_path, int peer_pid, std::vector<PortFacts>& ports);
void GatherFirewall(const GatherOptions& options, DoctorFacts& facts);                   // firewall.cc
void GatherPaths(const std::vector<IpAddress>& remotes, std::vector<PathFacts>& paths);  // paths.cc
KernelFacts GatherKernel(const std::string& proc_path);                                  // kernel.cc
StoreFacts GatherStore(const std::string& path);                                         // store.cc
void GatherLinks(const GatherOptions& options, DoctorFacts& facts);                      // links.cc
std::vector<SocketFacts> GatherSockets(const GatherOptions& options);                    // sockets.cc

}  // namespace weave
