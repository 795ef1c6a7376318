// What the peer says of itself and of others: who runs, who is connected, who is missed, whose clock is wrong.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "doctor/judge.h"

namespace weave {
namespace {

// Names need clocks that differ by at most 15 minutes (spec/dns.md section 2). Who is a tenth of the way there will be
// too far some day.
constexpr std::int64_t kMaxSkewSeconds = 900;
constexpr std::int64_t kNotedSkewSeconds = 90;
// A peer that is connected tells its names every 30 s.
constexpr std::uint64_t kOldReadingSeconds = 600;

constexpr absl::string_view kDefaultPort = ":6783";

std::string NameOf(const std::string& name, const std::string& nickname) {
  return absl::StrCat(name, "(", nickname, ")");
}

std::string HostOf(absl::string_view address) {
  const std::size_t colon = address.rfind(':');
  absl::string_view host = colon == absl::string_view::npos ? address : address.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  return std::string(host);
}

// Why a connection does not come about, by the words of `weave status connections`, and what that means.
struct Reason {
  absl::string_view words;
  absl::string_view meaning;
  absl::string_view command;  // empty: to forget the peer, if it was named
  bool there = false;         // the command is for the other host
};

constexpr absl::string_view kPasswordCommand = "weave stop && weave launch --resume --password <that of the others>";

// The first that matches counts.
constexpr Reason kReasons[] = {
    {"another password", "it has another password", kPasswordCommand},
    {"no password is set here", "it has a password and this peer has none", kPasswordCommand},
    {"a password is set here", "this peer has a password and it has none",
     "weave stop && weave launch --resume --password <the one of this network>", true},
    {"seeded by different peers",
     "its network and ours began apart: both have given addresses from one range. What is on the smaller one must "
     "start "
     "anew",
     "weave reset && weave launch <peer>"},
    {"Incompatible IP allocation ranges", "it was launched with another --ipalloc-range",
     "weave reset && weave launch --ipalloc-range <that of the others> <peer>"},
    {"peer names collision", "two peers have one name, as after copying a machine with its store or machine-id",
     "weave reset --force && weave launch --name <another, as 00:00:00:00:00:0a> <peer>"},
    {"cannot connect to ourself", "it is this peer's own address", ""},
    {"the clock of peer", "the clocks of the two hosts are too far apart", "timedatectl"},
    {"Connection limit reached", "there are as many connections as --conn-limit allows",
     "weave stop && weave launch --resume --conn-limit <more>"},
    {"no protocol version in common", "the two peers speak no common version of the protocol",
     "weave stop && weave launch --resume --min-protocol-version 1"},
    {"no overlays in common", "the two peers have no data path in common", "weave version", true},
    {"Found unknown remote name", "it is no peer that this one may get to know", "weave status peers", true},
    {"the other end is not a peer", "what listens there is not weave", ""},
    {"onnection refused", "the host answers, but nobody listens there: its peer does not run, or has another port",
     "weave launch", true},
    {"onnection reset", "it ends the connection while greeting: mostly because it has another password", "weave doctor",
     true},
    {"closed by the other side", "it ends the connection while greeting: its log says why", "weave doctor", true},
    {"no answer within", "nothing comes back: the host is down, or a packet filter drops TCP there", "weave doctor",
     true},
    {"onnection timed out", "nothing comes back: the host is down, or a packet filter drops TCP there", "weave doctor",
     true},
    {"o route to host", "no way leads to that host, or it is down", "ip route get "},
    {"etwork is unreachable", "this host has no route there", "ip route get "},
};

const Reason* FindReason(const std::string& error) {
  for (const Reason& reason : kReasons)
    if (absl::StrContains(error, reason.words)) return &reason;
  return nullptr;
}

// `weave forget` wants a peer as it was given; one that others told us of cannot be forgotten.
std::string ForgetCommand(const PeerFacts& peer, const std::string& address) {
  for (const std::string& target : peer.targets)
    if (target == address || absl::StrCat(target, kDefaultPort) == address)
      return absl::StrCat("weave forget ", target);
  return "weave status targets";
}

// The peer that others reach at the address, if we have a way to it.
const KnownPeerFacts* FindReachable(const PeerFacts& peer, const std::string& address) {
  for (const KnownPeerFacts& known : peer.peers)
    if (known.reachable && std::find(known.addresses.begin(), known.addresses.end(), address) != known.addresses.end())
      return &known;
  return nullptr;
}

// A target without a connection.
void JudgeTarget(const PeerFacts& peer, const ConnectionFacts& target, Findings& findings) {
  if (target.error.empty()) {
    findings.Warn(absl::StrCat("to ", target.address, ": the first attempt has no answer yet"),
                  "weave status connections");
    return;
  }
  const Reason* reason = FindReason(target.error);
  std::string text = absl::StrCat("to ", target.address, ": ", target.error);
  if (reason != nullptr) absl::StrAppend(&text, " (", reason->meaning, ")");
  if (target.gives_up) absl::StrAppend(&text, "; it is not tried again");
  std::string command(reason == nullptr ? "" : reason->command);
  if (command.empty()) command = ForgetCommand(peer, target.address);
  if (absl::EndsWith(command, " get ")) command += HostOf(target.address);
  std::string host = reason != nullptr && reason->there ? HostOf(target.address) : std::string();
  if (const KnownPeerFacts* known = FindReachable(peer, target.address); known != nullptr)
    findings.Warn(absl::StrCat(text, "; frames to ", NameOf(known->name, known->nickname), " go through other peers"),
                  std::move(command), std::move(host));
  else
    findings.Fail(std::move(text), std::move(command), std::move(host));
}

const KnownPeerFacts* FindKnown(const PeerFacts& peer, const std::string& name) {
  for (const KnownPeerFacts& known : peer.peers)
    if (known.name == name) return &known;
  return nullptr;
}

void JudgeOwners(const PeerFacts& peer, const AllocatorFacts& allocator, Findings& findings) {
  for (const OwnerFacts& owner : allocator.owners) {
    if (owner.reachable || owner.address_count == 0) continue;
    const std::string name = NameOf(owner.name, owner.nickname);
    if (FindKnown(peer, owner.name) != nullptr) continue;  // said above
    const double share = 100.0 * static_cast<double>(owner.address_count) /
                         static_cast<double>(static_cast<std::uint64_t>(allocator.range.Range().size));
    findings.Fail(
        absl::StrCat(name, " owns ", owner.address_count, " addresses (", std::lround(share), "% of ",
                     allocator.range.ToString(),
                     ") and is not heard: they are given to nobody until it is back, or is removed because it "
                     "will never be"),
        absl::StrCat("weave rmpeer ", owner.name));
  }
}

}  // namespace

void CheckPeer(const DoctorFacts& facts, std::vector<Finding>& all) {
  Findings findings(all, "peer");
  const PeerFacts& peer = facts.peer;
  const std::string read_log = absl::StrCat("tail -n 30 ", peer.log_path);
  switch (peer.state) {
    case PeerState::kAbsent:
      findings.Fail("no peer was launched on this host", "weave launch");
      return;
    case PeerState::kStopped:
      findings.Fail(absl::StrCat("the peer was launched but does not run; ", peer.log_path, " says how it ended"),
                    "weave launch --resume");
      return;
    case PeerState::kRestarting:
      findings.Fail(
          absl::StrCat("the peer ends whenever it is started; its supervisor (pid ", peer.pid, ") tries again"),
          read_log);
      return;
    case PeerState::kHangs:
      findings.Fail(absl::StrCat("the peer (pid ", peer.pid, ") does not answer: ", peer.error),
                    "weave stop && weave launch --resume");
      return;
    case PeerState::kAnswers:
      break;
  }
  if (!peer.host_error.empty())
    findings.Fail(absl::StrCat("bridge and packet filter are not as they should be: ", peer.host_error), read_log);
  else if (!peer.ready)
    findings.Warn(absl::StrCat("not ready: ", peer.not_ready_reason), read_log);
  findings.OkUnlessFound(
      absl::StrCat(NameOf(peer.name, peer.nickname), " runs (pid ", peer.pid, ", version ", peer.version, ")"));
}

void CheckConnections(const DoctorFacts& facts, std::vector<Finding>& all) {
  if (!facts.peer.tells) return;
  Findings findings(all, "connections");
  std::size_t established = 0;
  for (const ConnectionFacts& connection : facts.peer.connections) {
    if (connection.state == "established") {
      ++established;
    } else if (connection.state == "pending") {
      findings.Fail(absl::StrCat("to ", connection.peer, " at ", connection.address,
                                 ": TCP passes, but no frame does: something on the way drops UDP, or the other host's "
                                 "packet filter does"),
                    "weave doctor", HostOf(connection.address));
    } else {
      JudgeTarget(facts.peer, connection, findings);
    }
  }
  if (facts.peer.connections.empty())
    findings.OkUnlessFound("none: this peer is alone and was told of no other");
  else
    findings.OkUnlessFound(absl::StrCat(established, " established"));
}

void CheckPeers(const DoctorFacts& facts, std::vector<Finding>& all) {
  if (!facts.peer.tells) return;
  Findings findings(all, "peers");
  for (const KnownPeerFacts& known : facts.peer.peers) {
    if (known.reachable) continue;
    std::string text = absl::StrCat(NameOf(known.name, known.nickname),
                                    " is known to others, but no way leads there: its containers cannot be reached");
    std::string command = "weave status peers";
    if (!known.addresses.empty()) command = absl::StrCat("weave connect ", known.addresses.front());
    findings.Fail(std::move(text), std::move(command));
  }
  if (facts.peer.allocator.has_value()) JudgeOwners(facts.peer, *facts.peer.allocator, findings);
  findings.OkUnlessFound(facts.peer.peers.empty() ? "there is no other"
                                                  : absl::StrCat("all ", facts.peer.peers.size() + 1, " are heard"));
}

void CheckClocks(const DoctorFacts& facts, std::vector<Finding>& all) {
  if (!facts.peer.tells) return;
  Findings findings(all, "clock");
  std::size_t heard = 0;
  std::int64_t worst = 0;
  for (const ClockFacts& clock : facts.peer.clocks) {
    if (clock.age_seconds > kOldReadingSeconds) continue;
    ++heard;
    const std::int64_t distance = std::abs(clock.ahead_seconds);
    worst = std::max(worst, distance);
    if (distance <= kNotedSkewSeconds) continue;
    std::string text = absl::StrCat("that of ", NameOf(clock.name, clock.nickname), " is ", distance, " s ",
                                    clock.ahead_seconds > 0 ? "ahead of" : "behind", " ours");
    if (distance > kMaxSkewSeconds)
      findings.Fail(
          absl::StrCat(text, ": names are not exchanged and the connection is refused above ", kMaxSkewSeconds, " s"),
          "timedatectl set-ntp true", "whichever host is wrong");
    else
      findings.Warn(absl::StrCat(text, "; above ", kMaxSkewSeconds, " s it would be refused"),
                    "timedatectl set-ntp true", "whichever host is wrong");
  }
  if (heard == 0)
    findings.OkUnlessFound("no other peer has told the time");
  else
    findings.OkUnlessFound(
        absl::StrCat("at most ", worst, " s from what ", heard, heard == 1 ? " other peer says" : " other peers say"));
}

}  // namespace weave
