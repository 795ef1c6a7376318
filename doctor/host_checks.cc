// What this host does for or against the peer: ports, packet filter, MTU, kernel, store.
#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "doctor/judge.h"

namespace weave {
namespace {

// What wraps a frame's payload (spec/overlay.md sections 2.5 and 3.6): IPv4, UDP, VXLAN and the Ethernet header; ESP.
constexpr std::uint32_t kVxlanOverhead = 20 + 8 + 8 + 14;
constexpr std::uint32_t kEspOverhead = 34;
constexpr std::uint32_t kSleeveOverhead = 62;
constexpr std::uint32_t kSealedSleeveOverhead = 86;

// The fast data path's MTU at least, but for --mtu. A way that carries less makes containers send fragments that others
// need not.
constexpr std::uint32_t kUsualMtu = 1376;

// Below it the next few thousand addresses may not be recorded; a record is some hundred bytes, its log ten times that.
constexpr std::uint64_t kLittleSpace = 64 << 20;
constexpr std::uint64_t kNoSpace = 1 << 20;
constexpr std::uint64_t kFewInodes = 16;

// Of a table of the kernel's, above which new entries will be refused soon.
constexpr double kTableIsNearlyFull = 0.9;

std::string HolderOf(const PortFacts& port) {
  if (port.pid == 0) return "the kernel, or by a process that cannot be seen from here";
  return absl::StrCat(port.program, " (pid ", port.pid, ")");
}

std::string ReleaseCommand(const PortFacts& port) {
  const std::string other = port.flag.empty() ? "" : absl::StrCat("weave launch ", port.flag, " <another>");
  if (port.pid == 0) return other.empty() ? "ss -lnptu" : other;
  return other.empty() ? absl::StrCat("kill ", port.pid) : absl::StrCat("kill ", port.pid, ", or ", other);
}

void JudgePort(const PeerFacts& peer, const PortFacts& port, Findings& findings) {
  const std::string name = absl::StrCat(port.protocol, " port ", port.port, " (", port.purpose, ")");
  switch (port.use) {
    case PortUse::kPeer:
      if (!port.bound)
        findings.Fail(absl::StrCat(name, " is closed: the peer does not listen there"),
                      "weave stop && weave launch --resume");
      else if (port.pid != 0 && peer.pid != 0 && port.pid != peer.pid)
        findings.Fail(absl::StrCat(name, " is held by ", HolderOf(port), ", not by the peer (pid ", peer.pid, ")"),
                      ReleaseCommand(port));
      return;
    case PortUse::kKernel:
      if (!port.bound)
        findings.Fail(absl::StrCat(name, " is closed: the fast data path has no tunnel's end there"),
                      "weave stop && weave launch --resume");
      else if (port.pid != 0)
        findings.Fail(absl::StrCat(name, " is held by ", HolderOf(port), ": the fast data path gets no packets"),
                      ReleaseCommand(port));
      return;
    case PortUse::kFree:
      if (port.bound && (port.pid == 0 || port.pid != peer.pid))
        findings.Fail(absl::StrCat(name, " is held by ", HolderOf(port), ": a peer cannot start"),
                      ReleaseCommand(port));
      return;
    case PortUse::kTunnel:
      if (port.bound && port.pid != 0)
        findings.Warn(absl::StrCat(name, " is held by ", HolderOf(port), ": a fast data path could not be used"),
                      ReleaseCommand(port));
      return;
  }
}

// What frames' payloads cost on the way, by the data path that carries them.
std::uint32_t OverheadOf(const ConnectionFacts& connection) {
  if (connection.overlay == "fastdp") return kVxlanOverhead + (connection.encrypted ? kEspOverhead : 0);
  return connection.encrypted ? kSealedSleeveOverhead : kSleeveOverhead;
}

const ConnectionFacts* FindConnection(const PeerFacts& peer, const std::string& address) {
  for (const ConnectionFacts& connection : peer.connections)
    if (connection.live() && connection.address.rfind(absl::StrCat(address, ":"), 0) == 0) return &connection;
  return nullptr;
}

// What is wrong with a way, without saying whither it leads.
struct NarrowPath {
  std::string text;
  std::string command;
};

std::optional<NarrowPath> JudgePathMtu(const DoctorFacts& facts, const PathFacts& path,
                                       const ConnectionFacts& connection) {
  const std::string raise = absl::StrCat("ip link set ", path.device, " mtu 1500");
  // fastdp does not begin on a path that is too narrow for the least of MTUs: sleeve goes on.
  const bool has_fastdp = facts.peer.bridge_type != "bridge";
  const std::uint32_t fastdp_need = kVxlanOverhead + (connection.encrypted ? kEspOverhead : 0);
  const std::uint32_t least = facts.bridge.has_value() ? std::min(kUsualMtu, facts.bridge->mtu_bytes) : kUsualMtu;
  if (has_fastdp && facts.bridge.has_value() && least + fastdp_need > path.mtu_bytes) {
    const std::uint32_t fits = path.mtu_bytes > fastdp_need ? path.mtu_bytes - fastdp_need : 0;
    return NarrowPath{absl::StrCat("takes packets of ", path.mtu_bytes, " bytes, the fast data path needs ",
                                   least + fastdp_need, " for an MTU of ", least, ": the slow one (sleeve) is used"),
                      absl::StrCat(raise, ", or on all hosts: weave stop && weave launch --resume --mtu ", fits)};
  }
  const std::uint32_t overhead = OverheadOf(connection);
  if (path.mtu_bytes < least + overhead)
    return NarrowPath{
        absl::StrCat("takes packets of ", path.mtu_bytes, " bytes: what containers send above ",
                     path.mtu_bytes > overhead ? path.mtu_bytes - overhead : 0, " bytes goes in pieces or is refused"),
        raise};
  // What the data path found by trying, against what this end of the way promises.
  if (connection.overlay == "sleeve" && connection.mtu_bytes != 0 && connection.mtu_bytes < least &&
      connection.mtu_bytes + overhead < path.mtu_bytes)
    return NarrowPath{
        absl::StrCat("carries packets of ", connection.mtu_bytes + overhead, " bytes only, though ", path.device,
                     " takes ", path.mtu_bytes, ": a hop in between is narrower, or drops what is larger"),
        absl::StrCat("tracepath -n ", path.address)};
  return std::nullopt;
}

// Of many who meet the same, one is named.
std::string OneOf(const std::vector<std::string>& names) {
  return names.size() == 1 ? names.front() : absl::StrCat(names.front(), " and ", names.size() - 1, " more");
}

// Packets that meet the same end by the same rule are one line, whosever they are.
void JudgePackets(const std::vector<FirewallPathFacts>& paths, Findings& findings) {
  struct Group {
    const FirewallPathFacts* first;
    std::vector<std::string> whom;
  };
  std::vector<Group> groups;
  for (const FirewallPathFacts& path : paths) {
    if (path.fate == PacketFate::kAccepted) continue;
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return group.first->what == path.what && group.first->backend == path.backend &&
             group.first->where == path.where && group.first->rule == path.rule && group.first->fate == path.fate;
    });
    if (same == groups.end())
      groups.push_back({&path, {path.whom}});
    else
      same->whom.push_back(path.whom);
  }
  for (const Group& group : groups) {
    const FirewallPathFacts& path = *group.first;
    const std::string what = path.whom.empty() ? path.what : absl::StrCat(path.what, " ", OneOf(group.whom));
    const std::string decision =
        path.rule.empty() ? absl::StrCat("the policy of ", path.where) : absl::StrCat(path.where, " ", path.rule);
    if (path.fate == PacketFate::kDropped)
      findings.Fail(absl::StrCat(what, " is dropped by ", path.backend, ": ", decision), path.command);
    else
      findings.Warn(absl::StrCat(what, " may be dropped by ", path.backend, ": ", decision,
                                 ", unless an earlier rule that cannot be judged from here accepts it"),
                    path.command);
  }
}

std::string StateOf(absl::string_view name, FeatureState state) {
  switch (state) {
    case FeatureState::kThere:
      return absl::StrCat(name, " there");
    case FeatureState::kLoadable:
      return absl::StrCat(name, " when needed");
    case FeatureState::kMissing:
      return absl::StrCat(name, " missing");
    case FeatureState::kUnknown:
      break;
  }
  return absl::StrCat(name, " not to be seen");
}

void JudgeFeature(FeatureState state, const std::string& release, absl::string_view name, absl::string_view loss,
                  absl::string_view module, Findings& findings) {
  if (state != FeatureState::kMissing) return;
  findings.Warn(absl::StrCat("kernel ", release, " has no ", name, ": ", loss), absl::StrCat("modprobe ", module));
}

void JudgeTable(absl::string_view table, absl::string_view loss, std::uint64_t count, std::uint64_t max,
                absl::string_view setting, Findings& findings) {
  if (max == 0 || static_cast<double>(count) < kTableIsNearlyFull * static_cast<double>(max)) return;
  findings.Fail(absl::StrCat(table, " is full (", count, " of ", max, "): ", loss),
                absl::StrCat("sysctl -w ", setting, "=", 2 * max));
}

}  // namespace

void CheckPorts(const DoctorFacts& facts, std::vector<Finding>& all) {
  Findings findings(all, "ports");
  std::vector<std::string> held;
  std::vector<std::string> free;
  for (const PortFacts& port : facts.ports) {
    JudgePort(facts.peer, port, findings);
    if (port.use != PortUse::kTunnel) (port.bound ? held : free).push_back(absl::StrCat(port.protocol, " ", port.port));
  }
  if (!held.empty()) findings.OkUnlessFound(absl::StrCat("the peer has ", absl::StrJoin(held, ", ")));
  findings.OkUnlessFound(absl::StrCat("free for a peer: ", absl::StrJoin(free, ", ")));
}

void CheckFirewall(const DoctorFacts& facts, std::vector<Finding>& all) {
  if (!facts.firewall.has_value()) return;
  const FirewallFacts& firewall = *facts.firewall;
  Findings findings(all, "firewall");
  JudgePackets(firewall.paths, findings);
  for (const std::string& rule : firewall.missing)
    findings.Fail(absl::StrCat("a rule of ours is missing, which the peer puts back within 2 s if it can: ", rule),
                  absl::StrCat("tail -n 30 ", facts.peer.log_path));
  for (const std::string& chain : firewall.displaced)
    findings.Warn(absl::StrCat("rules of others stand above ours in ", chain, ", and the peer does not get past them"),
                  "iptables-save");
  if (!facts.peer.exposures.empty() && !firewall.ip_forward)
    findings.Fail(absl::StrCat("net.ipv4.ip_forward is 0: ", facts.peer.exposures.front(),
                               " is exposed, but this host forwards nothing between the network and the world"),
                  "sysctl -w net.ipv4.ip_forward=1");
  findings.OkUnlessFound("nothing that the peer or containers need is dropped");
}

void CheckMtu(const DoctorFacts& facts, std::vector<Finding>& all) {
  if (!facts.peer.tells) return;
  Findings findings(all, "mtu");
  struct Group {
    NarrowPath narrow;
    std::vector<std::string> peers;
  };
  std::map<std::pair<std::string, std::string>, Group> groups;  // by device and what is wrong
  std::uint32_t least = 0;
  for (const PathFacts& path : facts.paths) {
    if (!path.error.empty()) {
      findings.Fail(absl::StrCat("this host has no way to ", path.address, ": ", path.error),
                    absl::StrCat("ip route get ", path.address));
      continue;
    }
    const ConnectionFacts* connection = FindConnection(facts.peer, path.address);
    if (connection == nullptr) continue;
    least = least == 0 ? path.mtu_bytes : std::min(least, path.mtu_bytes);
    const std::optional<NarrowPath> narrow = JudgePathMtu(facts, path, *connection);
    if (!narrow.has_value()) continue;
    Group& group = groups.try_emplace({path.device, narrow->text}, Group{*narrow, {}}).first->second;
    group.peers.push_back(absl::StrCat(connection->peer, " at ", path.address));
  }
  for (const auto& [key, group] : groups)
    findings.Warn(absl::StrCat("the way to ", OneOf(group.peers), " through ", key.first, " ", group.narrow.text),
                  group.narrow.command);
  findings.OkUnlessFound(least == 0 ? "no way to another peer is in use"
                                    : absl::StrCat("all ways to peers take packets of ", least, " bytes or more"));
}

void CheckKernel(const DoctorFacts& facts, std::vector<Finding>& all) {
  const KernelFacts& kernel = facts.kernel;
  Findings findings(all, "kernel");
  if (!facts.peer.bridge_type_reason.empty())
    findings.Warn(absl::StrCat("the bridge is of type ", facts.peer.bridge_type,
                               ", not the default: ", facts.peer.bridge_type_reason,
                               facts.peer.bridge_type == "bridge" ? "; frames go by the slow data path (sleeve)" : ""),
                  absl::StrCat(kernel.openvswitch == FeatureState::kThere ? "" : "modprobe openvswitch && ",
                               "weave reset && weave launch <peer>"));
  else if (!facts.peer.answers())
    JudgeFeature(kernel.openvswitch, kernel.release, "Open vSwitch", "frames would go by the slow data path (sleeve)",
                 "openvswitch", findings);
  const bool fastdp = facts.peer.answers() && facts.peer.bridge_type != "bridge";
  if (fastdp)
    JudgeFeature(kernel.vxlan, kernel.release, "VXLAN", "tunnels cannot be made and sleeve carries all frames", "vxlan",
                 findings);
  if (fastdp && facts.peer.has_password)
    JudgeFeature(kernel.esp, kernel.release, "ESP (xfrm)", "encrypted connections go by the slow data path (sleeve)",
                 "esp4", findings);
  JudgeFeature(kernel.conntrack, kernel.release, "connection tracking",
               "`weave expose` cannot translate addresses and answers from outside are not let in", "nf_conntrack",
               findings);
  JudgeTable("the table of tracked connections", "new ones are dropped", kernel.conntrack_count, kernel.conntrack_max,
             "net.netfilter.nf_conntrack_max", findings);
  JudgeTable("the table of neighbours (ARP)", "hosts and containers that are not in it cannot be reached",
             kernel.neighbour_count, kernel.neighbour_max, "net.ipv4.neigh.default.gc_thresh3", findings);
  findings.OkUnlessFound(absl::StrCat(kernel.release, ": ", StateOf("Open vSwitch", kernel.openvswitch), ", ",
                                      StateOf("VXLAN", kernel.vxlan), ", ", StateOf("ESP", kernel.esp), ", ",
                                      StateOf("ipset", kernel.ipset), ", ",
                                      StateOf("connection tracking", kernel.conntrack)));
}

void CheckStore(const DoctorFacts& facts, std::vector<Finding>& all) {
  const StoreFacts& store = facts.store;
  Findings findings(all, "store");
  const std::string directory = store.path.substr(0, std::max<std::size_t>(store.path.rfind('/'), 1));
  if (!store.write_error.empty())
    findings.Fail(absl::StrCat(store.path, " cannot be written, so no address can be given: ", store.write_error),
                  absl::StrCat("findmnt -T ", directory));
  if (store.kind == StoreKind::kUnreadable)
    findings.Fail(absl::StrCat(store.path, " is no store: ", store.error), absl::StrCat("ls -l ", store.path));
  if (store.kind == StoreKind::kBolt)
    findings.Warn(absl::StrCat(store.path,
                               " is of Weave Net 2.8, and not taken over yet: its addresses are kept by the "
                               "first launch, with the 2.8 peer stopped"),
                  "docker stop weave; weave launch --resume");
  if (store.write_error.empty() && (store.free_bytes < kNoSpace || (store.counts_inodes && store.free_inodes == 0)))
    findings.Fail(absl::StrCat("the disk of ", directory, " is full: no address can be given"),
                  absl::StrCat("df -h ", directory, "; df -i ", directory));
  else if (store.write_error.empty() &&
           (store.free_bytes < kLittleSpace || (store.counts_inodes && store.free_inodes < kFewInodes)))
    findings.Warn(absl::StrCat("the disk of ", directory, " has ", store.free_bytes >> 20,
                               " MiB left: once it is full no address can be given"),
                  absl::StrCat("df -h ", directory, "; df -i ", directory));
  if (facts.peer.store_failure_count > 0)
    findings.Warn(absl::StrCat(facts.peer.store_failure_count, " changes could not be written to ", store.path,
                               " since the peer started"),
                  absl::StrCat("tail -n 30 ", facts.peer.log_path));
  if (store.lock_pid != 0 && store.lock_pid != facts.peer.pid && (facts.peer.pid != 0 || !facts.peer.answers()))
    findings.Fail(absl::StrCat(store.path, " is held open by process ", store.lock_pid, ", which is not this peer"),
                  absl::StrCat("ps -fp ", store.lock_pid));
  for (const std::string& path : store.set_aside)
    findings.Warn(
        absl::StrCat(path, " is a damaged store that was set aside; the peer began anew without what it knew"),
        absl::StrCat("rm ", path));
  findings.OkUnlessFound(store.kind == StoreKind::kNone
                             ? absl::StrCat(store.path, ": none yet, and it can be made")
                             : absl::StrCat(store.path, ": sound, ", store.free_bytes >> 20, " MiB left"));
}

}  // namespace weave
