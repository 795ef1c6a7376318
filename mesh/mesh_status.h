// What the mesh knows, as one consistent picture of plain values: filled by MeshRouter on the loop, read by the status
// pages, the report and the metrics (spec/control.md sections 3 to 5). Facts only: words such as the INFO column of
// `weave status connections` are made of them in peer/status_pages.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ip.h"
#include "base/peer_name.h"
#include "mesh/overlay.h"
#include "wire/topology.h"

namespace weave {

struct MeshStatus {
  // One record of a peer's connections, as that peer announces it.
  struct Link {
    PeerName name;         // the other end
    std::string nickname;  // of the other end
    std::string address;   // of the other end as the owner of the record sees it; text of a peer, not checked
    bool outbound = false;
    bool established = false;
  };

  struct Peer {
    PeerName name;
    std::string nickname;
    PeerUid uid = 0;
    std::optional<ShortId> short_id;
    std::uint64_t version = 0;
    std::vector<Link> connections;
  };

  struct UnicastRoute {
    PeerName destination;
    PeerName via;  // the unknown name for ourselves
  };

  struct BroadcastRoute {
    PeerName source;
    std::vector<PeerName> via;
  };

  enum class ConnectionState : std::uint8_t {
    kPending,      // live: the handshake is done, frames do not pass yet
    kEstablished,  // live
    kConnecting,   // target: the first attempt runs
    kRetrying,     // target: a later attempt runs
    kFailed,       // target: the last attempt failed, the next is at `retry_at`
    kWaiting,      // target: no attempt yet, the first is at `retry_at`
  };

  // A live connection of ours, or a target that has none. A target that is connected, or that has been suspended in
  // favour of another address of the same peer, is not listed.
  struct Connection {
    std::string address;   // of the other end; the target as it is dialled
    bool outbound = true;  // we dialled, or will
    ConnectionState state = ConnectionState::kConnecting;

    // Live ones only.
    PeerName remote;
    std::string remote_nickname;
    bool encrypted = false;  // frames are, because there is a password and the other end is not trusted
    OverlayStatus overlay;   // an empty name before the data path has chosen an overlay

    // Targets only.
    absl::Status error;                  // of the last attempt; OK before one has failed
    std::optional<absl::Time> retry_at;  // kFailed, kWaiting; none: never

    bool IsLive() const { return state == ConnectionState::kPending || state == ConnectionState::kEstablished; }
  };

  int min_protocol_version = 1;
  int max_protocol_version = 2;
  bool has_password = false;
  bool peer_discovery = true;
  PeerName name;
  std::string nickname;
  std::uint16_t port = 0;
  std::vector<Cidr> trusted_subnets;
  std::vector<std::string> targets;              // direct peers as the user gave them, in that order
  std::vector<Peer> peers;                       // all we know, ourselves first, the others in order of names
  std::vector<UnicastRoute> unicast_routes;      // for frames: symmetric, established links
  std::vector<BroadcastRoute> broadcast_routes;  // the same
  std::vector<Connection> connections;           // live ones first
  std::uint64_t termination_count = 0;           // connections that ended since the start
  std::vector<std::string> overlays;             // names of the data paths that are on
};

}  // namespace weave
