// The text of the status pages (spec/control.md section 3): what `weave status` and GET /status... print, byte for byte
// as 2.8 does. Plain data in, text out; the caller knows the HTTP status (503 while not ready).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "peer/core/peer_core.h"
#include "peer/flags.h"

namespace weave {

// What the pages show. Parts that are off have no section.
struct StatusView {
  // A connection as seen from here, or a target that is not connected (3.2).
  struct Connection {
    bool outbound = false;
    std::string address;
    std::string state;  // established, pending, retrying, failed, connecting, waiting
    std::string info;
    std::map<std::string, std::string> attributes;  // as printed; "name" is left out
  };

  // A known peer with the connections it announces (3.3).
  struct Peer {
    struct Link {
      bool outbound = false;
      std::string address;
      PeerName name;
      std::string nickname;
      bool established = false;
    };

    PeerName name;
    std::string nickname;
    std::vector<Link> links;
  };

  std::string version;
  int min_protocol_version = 1;
  int max_protocol_version = 2;
  PeerName name;
  std::string nickname;
  bool encryption = false;
  bool peer_discovery = true;
  std::vector<std::string> targets;  // as the user gave them
  std::vector<Connection> connections;
  std::vector<Peer> peers;  // ourselves first
  std::vector<Cidr> trusted_subnets;

  // Not 2.8's: why the host is not as it should be; empty when it is. One line is made of it.
  std::string host_error;
};

StatusView MakeStatusView(const PeerSnapshot& snapshot, const WeaverOptions& options, absl::string_view version);

std::string StatusPage(const StatusView& view);
std::string TargetsPage(const StatusView& view);
std::string ConnectionsPage(const StatusView& view);
std::string PeersPage(const StatusView& view);

}  // namespace weave
