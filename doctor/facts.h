// What `weave doctor` knows before it judges: plain values, gathered by doctor/os and told by the peer. Absent parts
// could not be looked at; `unseen` says why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ip.h"

namespace weave {

// ---- the peer ----

enum class PeerState : std::uint8_t {
  kAnswers,
  kHangs,       // its process is there
  kRestarting,  // its supervisor waits before it starts it again
  kStopped,     // launched since boot, does not run
  kAbsent,      // never launched, or reset
};

struct ConnectionFacts {
  std::string address;  // of the other end, host:port
  std::string state;    // the word of `weave status connections`
  std::string error;    // targets: why the last attempt failed
  bool outbound = false;
  bool gives_up = false;  // targets: no further attempt

  std::string peer;             // name(nickname); live ones
  std::string overlay;          // "fastdp", "sleeve"; empty: frames do not pass yet
  std::uint32_t mtu_bytes = 0;  // of frames' payload, as the overlay found it; 0: not known
  bool encrypted = false;

  bool live() const { return state == "established" || state == "pending"; }
};

struct KnownPeerFacts {
  std::string name;
  std::string nickname;
  bool reachable = false;              // frames have a way there
  std::vector<std::string> addresses;  // host:port under which others dialled it
};

struct OwnerFacts {
  std::string name;
  std::string nickname;
  std::uint64_t address_count = 0;
  bool reachable = false;
};

struct OwnedRangeFacts {
  AddressRange range;
  std::string owner;  // a peer's name
};

struct AllocatorFacts {
  Cidr range;
  std::string status;  // of `weave status`
  bool ready = false;  // the peers have agreed who owns what
  std::vector<OwnerFacts> owners;
  std::vector<OwnedRangeFacts> ranges;
  std::uint32_t waiting_count = 0;  // requests for addresses
};

struct ClockFacts {
  std::string name;
  std::string nickname;
  std::int64_t ahead_seconds = 0;  // of our clock
  std::uint64_t age_seconds = 0;   // since the peer told
};

// An address that the allocator, `attach` or `expose` gave to somebody.
struct HolderFacts {
  IpAddress address;
  std::string holder;
};

// Another peer's name for an address that somebody has here.
struct RivalFacts {
  IpAddress address;
  std::string peer;      // name(nickname)
  std::string hostname;  // fully qualified
};

struct PeerFacts {
  PeerState state = PeerState::kAbsent;
  int pid = 0;        // of the peer; of its supervisor while kRestarting; 0: not to be seen from here
  std::string error;  // kHangs: how a call ended
  std::string log_path;

  // What it tells: only when kAnswers.
  std::string name;
  std::string nickname;
  std::string version;
  bool ready = false;
  std::string not_ready_reason;
  std::string bridge_type;

  // What it tells besides, unless it is of an earlier version: only when `tells`.
  bool tells = false;
  std::string host_error;          // why bridge and packet filter are not as they should be
  std::string bridge_type_reason;  // why it is another than by default
  bool has_password = false;
  std::vector<std::string> targets;  // as they were given
  std::vector<ConnectionFacts> connections;
  std::vector<KnownPeerFacts> peers;
  std::optional<AllocatorFacts> allocator;
  std::vector<ClockFacts> clocks;
  std::vector<HolderFacts> holders;
  std::vector<RivalFacts> rivals;
  std::vector<std::string> exposures;  // a.b.c.d/length
  std::uint64_t store_failure_count = 0;

  bool answers() const { return state == PeerState::kAnswers; }
};

// ---- this host ----

enum class PortUse : std::uint8_t {
  kPeer,    // the peer must listen there
  kKernel,  // a tunnel's end must be there, which is no process's
  kFree,    // no peer runs: one that is launched will listen there
  kTunnel,  // a fast data path would have its tunnel's end there, or still has
};

struct PortFacts {
  std::string protocol;              // "TCP", "UDP"
  std::optional<IpAddress> address;  // where it is or will be listened; none: everywhere
  std::uint16_t port = 0;
  std::string purpose;  // "connections", "sleeve", "VXLAN", "control", "names"
  std::string flag;     // of `weave launch` that chooses another: "--port"
  PortUse use = PortUse::kFree;
  bool bound = false;
  int pid = 0;               // who holds it; 0: no process that can be seen
  std::string program = {};  // the same by name
};

enum class PacketFate : std::uint8_t {
  kAccepted,
  kDropped,
  kUnclear,  // dropped, unless a rule accepts it that cannot be judged from here
};

// What the packet filter would do to packets that we need.
struct FirewallPathFacts {
  std::string what;     // "TCP port 6783"
  std::string whom;     // "from 10.0.0.2", "to other peers"; empty: said in `what`
  std::string backend;  // "iptables-nft", "nft"
  std::string where;    // "INPUT", "inet filter input"
  std::string rule;     // that decides; empty: the policy
  PacketFate fate = PacketFate::kAccepted;
  std::string command;  // that lets it through
};

struct FirewallFacts {
  std::vector<FirewallPathFacts> paths;
  std::vector<std::string> missing;    // of our rules: "filter FORWARD -i weave -o weave -j ACCEPT"
  std::vector<std::string> displaced;  // chains in which others' rules stand above ours
  bool ip_forward = false;
};

// The way to another peer's address.
struct PathFacts {
  std::string address;  // without port
  std::string device;   // through which it leads
  std::string local;    // the address of this host on it
  std::uint32_t mtu_bytes = 0;
  std::string error;  // there is none: why
};

struct BridgeFacts {
  std::string name;
  std::string kind;   // of `weave bridge-type`; "none"
  std::string error;  // what is there makes no sense
  std::uint32_t mtu_bytes = 0;
  bool up = false;
};

enum class FeatureState : std::uint8_t {
  kThere,     // loaded or built in
  kLoadable,  // a module file is there; the kernel loads it when it is needed
  kMissing,
  kUnknown,  // neither the feature nor a list of modules can be seen
};

struct KernelFacts {
  std::string release;
  FeatureState openvswitch = FeatureState::kUnknown;
  FeatureState vxlan = FeatureState::kUnknown;
  FeatureState esp = FeatureState::kUnknown;
  FeatureState ipset = FeatureState::kUnknown;
  FeatureState conntrack = FeatureState::kUnknown;
  std::uint64_t conntrack_count = 0;  // 0 of 0: not known
  std::uint64_t conntrack_max = 0;
  std::uint64_t neighbour_count = 0;  // of the machine, all namespaces together; 0 of 0: not known
  std::uint64_t neighbour_max = 0;
};

enum class StoreKind : std::uint8_t { kNone, kOurs, kBolt, kUnreadable };

struct StoreFacts {
  std::string path;
  StoreKind kind = StoreKind::kNone;
  std::string error;             // kUnreadable: why
  std::string write_error;       // why file or directory cannot be written; empty: they can
  std::uint64_t free_bytes = 0;  // of the file system
  std::uint64_t free_inodes = 0;
  bool counts_inodes = false;          // the file system has a limit of those
  int lock_pid = 0;                    // of the process that has it open; 0: nobody, or not to be seen
  std::vector<std::string> set_aside;  // paths of damaged files
};

enum class LinkEnd : std::uint8_t {
  kHost,       // a container's, the end that belongs in the bridge
  kContainer,  // a container's, the end that belongs in the container
  kRouter,     // between bridge and data path
  kTemporary,  // exists for a moment of a start
};

enum class LinkPartner : std::uint8_t {
  kNone,       // its kind has none, or it cannot be seen
  kHere,       // in this host's namespace
  kContainer,  // in a namespace that somebody is in
  kLost,       // in a namespace that no process is in and nothing names
};

// An interface of ours in the host's namespace.
struct LinkFacts {
  std::string name;
  LinkEnd end = LinkEnd::kHost;
  bool up = false;
  std::string bridge;  // that it is a port of; empty: none
  LinkPartner partner = LinkPartner::kNone;
  std::string partner_name;  // kHere
};

// An address in the network: on a container's interface, or on the bridge.
struct AddressFacts {
  Cidr address;
  std::string interface;   // the host's end, or the bridge
  std::string netns_path;  // empty: this host itself
};

struct SocketFacts {
  std::string path;
  bool of_plugin = false;  // else of the peer's API
  bool answered = false;   // somebody accepts
};

struct DoctorFacts {
  PeerFacts peer;
  std::vector<PortFacts> ports;
  std::optional<FirewallFacts> firewall;
  std::vector<PathFacts> paths;
  std::optional<BridgeFacts> bridge;
  KernelFacts kernel;
  StoreFacts store;
  std::vector<LinkFacts> links;
  std::vector<AddressFacts> addresses;
  std::vector<SocketFacts> sockets;    // files that are there
  std::optional<std::string> overlap;  // the range and a route of this host: "10.32.0.0/12 and 10.0.0.0/8 dev eth0"
  std::vector<std::string> unseen;     // what could not be looked at, and why
};

}  // namespace weave
