// Who has which address, against who may have it; and what killed programs have left behind.
#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "doctor/judge.h"

namespace weave {
namespace {

std::string PlaceOf(const AddressFacts& place) {
  return place.netns_path.empty() ? absl::StrCat("this host's interface ", place.interface)
                                  : absl::StrCat("the container at ", place.netns_path);
}

std::string TakeAwayCommand(const AddressFacts& place) {
  return place.netns_path.empty() ? absl::StrCat("weave hide ", place.address.ToString())
                                  : absl::StrCat("weave detach ", place.address.ToString(), " ", place.netns_path);
}

// An address of the range on an interface here: its owner must be this peer, and must know.
void JudgeOwner(const PeerFacts& peer, const AllocatorFacts& allocator, const AddressFacts& place, Findings& findings) {
  const IpAddress& address = place.address.address();
  const std::string where = absl::StrCat(address.ToString(), " is on ", PlaceOf(place));
  for (const OwnedRangeFacts& range : allocator.ranges) {
    if (!range.range.Contains(address) || range.owner == peer.name) continue;
    findings.Fail(absl::StrCat(where, ", but it is ", range.owner, "'s to give, who may give it to another"),
                  TakeAwayCommand(place));
    return;
  }
  for (const HolderFacts& holder : peer.holders)
    if (holder.address == address) return;
  findings.Fail(absl::StrCat(where, ", and the peer does not know: it may give it to another"),
                place.netns_path.empty()
                    ? absl::StrCat("weave expose ", place.address.ToString())
                    : absl::StrCat("weave attach ", place.address.ToString(), " ", place.netns_path));
}

bool IsContainerEnd(const std::vector<LinkFacts>& links, const std::string& name) {
  return std::any_of(links.begin(), links.end(),
                     [&](const LinkFacts& link) { return link.end == LinkEnd::kContainer && link.name == name; });
}

void JudgeLink(const std::vector<LinkFacts>& links, const LinkFacts& link, const std::string& bridge,
               Findings& findings) {
  const std::string remove = absl::StrCat("ip link del ", link.name);
  if (link.end == LinkEnd::kContainer) {
    findings.Warn(absl::StrCat("interface ", link.name,
                               " belongs into a container and is in this host's namespace: left by an attach that was "
                               "killed"),
                  remove);
    return;
  }
  if (link.end == LinkEnd::kTemporary) {
    findings.Warn(absl::StrCat("interface ", link.name, " was left by a start that was killed"), remove);
    return;
  }
  if (link.end == LinkEnd::kHost && link.partner == LinkPartner::kHere) {
    if (IsContainerEnd(links, link.partner_name)) return;  // told by the line of that
    findings.Warn(absl::StrCat("interface ", link.name, " and its other end ", link.partner_name,
                               " are both in this host's namespace: no container has it"),
                  remove);
    return;
  }
  if (link.partner == LinkPartner::kLost) {
    findings.Warn(
        absl::StrCat("interface ", link.name,
                     " leads into a namespace that no process is in and nothing names: its container is gone"),
        remove);
    return;
  }
  if (!bridge.empty() && link.bridge.empty() && link.end == LinkEnd::kHost)
    findings.Fail(absl::StrCat("interface ", link.name, " is not in the bridge ", bridge, ": its container is cut off"),
                  absl::StrCat("ip link set ", link.name, " master ", bridge));
  else if (!link.up && !bridge.empty())
    findings.Fail(absl::StrCat("interface ", link.name, " is down: ",
                               link.end == LinkEnd::kRouter ? "no frame leaves this host" : "its container is cut off"),
                  absl::StrCat("ip link set ", link.name, " up"));
}

void JudgeBridge(const DoctorFacts& facts, Findings& findings) {
  const BridgeFacts& bridge = *facts.bridge;
  if (!bridge.error.empty()) {
    findings.Fail(bridge.error, "weave reset --force");
    return;
  }
  if (!facts.peer.answers()) return;  // a stopped peer leaves its bridge as it is
  if (bridge.kind == "none")
    findings.Fail(absl::StrCat("there is no bridge ", bridge.name), "weave stop && weave launch --resume");
  else if (bridge.kind != facts.peer.bridge_type)
    findings.Fail(absl::StrCat("the bridge ", bridge.name, " is of type ", bridge.kind, ", the peer made one of type ",
                               facts.peer.bridge_type),
                  "weave reset && weave launch <peer>");
  else if (!bridge.up)
    findings.Fail(absl::StrCat("the bridge ", bridge.name, " is down: containers cannot talk"),
                  absl::StrCat("ip link set ", bridge.name, " up"));
}

void JudgeSocket(const PeerFacts& peer, const SocketFacts& socket, Findings& findings) {
  if (socket.answered) return;
  if (socket.of_plugin)
    findings.Warn(absl::StrCat(socket.path, " is the socket of a plugin that does not run: Docker waits for it"),
                  peer.answers() ? "weave stop && weave launch --resume" : absl::StrCat("rm ", socket.path));
  else if (peer.state != PeerState::kHangs && peer.state != PeerState::kRestarting)
    findings.Warn(absl::StrCat(socket.path, " is the socket of a peer that was killed"),
                  peer.state == PeerState::kStopped ? "weave launch --resume" : absl::StrCat("rm ", socket.path));
}

}  // namespace

void CheckAddresses(const DoctorFacts& facts, std::vector<Finding>& all) {
  Findings findings(all, "addresses");
  std::map<IpAddress, const AddressFacts*> first;
  for (const AddressFacts& place : facts.addresses) {
    const auto [other, alone] = first.try_emplace(place.address.address(), &place);
    if (alone) continue;
    findings.Fail(absl::StrCat(place.address.address().ToString(), " is given twice on this host: to ",
                               PlaceOf(*other->second), " and to ", PlaceOf(place)),
                  TakeAwayCommand(place));
  }
  for (const RivalFacts& rival : facts.peer.rivals) {
    const auto here = first.find(rival.address);
    const std::string where = here == first.end() ? "somebody on this host" : PlaceOf(*here->second);
    findings.Fail(absl::StrCat(rival.address.ToString(), " is given twice: to ", where, " and, by the name ",
                               rival.hostname, ", to a container of ", rival.peer),
                  here == first.end() ? "weave ps" : TakeAwayCommand(*here->second));
  }
  if (facts.peer.allocator.has_value()) {
    const AllocatorFacts& allocator = *facts.peer.allocator;
    for (const auto& [address, place] : first)
      if (allocator.ready && allocator.range.Contains(address)) JudgeOwner(facts.peer, allocator, *place, findings);
    if (!allocator.ready && allocator.status != "idle")
      findings.Warn(absl::StrCat("the peers have not agreed who owns which addresses (", allocator.status,
                                 "): nobody is given one before"),
                    "weave connect <a peer that runs>");
    else if (allocator.waiting_count > 0)
      findings.Warn(absl::StrCat(allocator.waiting_count, " requests wait for addresses (", allocator.status, ")"),
                    "weave status ipam");
  }
  if (facts.overlap.has_value())
    findings.Fail(absl::StrCat("the range and a route of this host overlap: ", *facts.overlap,
                               "; what is sent there goes one way or the other"),
                  "weave reset && weave launch --ipalloc-range <another, on all hosts>");
  findings.OkUnlessFound(absl::StrCat(facts.addresses.size(), " in use here, none of them twice"));
}

void CheckLeftovers(const DoctorFacts& facts, std::vector<Finding>& all) {
  Findings findings(all, "leftovers");
  if (facts.bridge.has_value()) JudgeBridge(facts, findings);
  const bool has_bridge = facts.bridge.has_value() && facts.bridge->error.empty() && facts.bridge->kind != "none";
  for (const LinkFacts& link : facts.links)
    JudgeLink(facts.links, link, has_bridge ? facts.bridge->name : std::string(), findings);
  for (const SocketFacts& socket : facts.sockets) JudgeSocket(facts.peer, socket, findings);
  findings.OkUnlessFound("none: bridge, interfaces and sockets are as they should be");
}

}  // namespace weave
