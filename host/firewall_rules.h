// What the host's packet filter should hold for us, as a value: the chains that are ours and our rules in the built-in
// chains. Pure; firewall_diff.h compares it with what is there, packet_filter.h brings it into the kernel.
//
// Rules are written as `iptables-save` prints them, without the leading `-A CHAIN`. Names and shapes are those of Weave
// Net 2.8 (spec/overlay.md section 7), because people's scripts look for them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ip.h"

namespace weave {

// A subnet of the weave network in which the host itself has an address: `weave expose`.
struct FirewallExposure {
  Cidr address;            // IPv4; the host bits do not matter here
  bool masquerade = true;  // false for `--without-masquerade`: neither NAT nor its multicast exception

  friend bool operator==(const FirewallExposure&, const FirewallExposure&) = default;
};

// The control port, when HTTP control listens on TCP.
struct FirewallControlPort {
  IpAddress address;  // where it listens; other than 127.0.0.0/8 guards 127.0.0.1, as 2.8 does
  std::uint16_t port = 0;

  friend bool operator==(const FirewallControlPort&, const FirewallControlPort&) = default;
};

struct FirewallConfig {
  std::string bridge = "weave";
  std::string docker_bridge;                   // empty: no rules about Docker's bridge (contract A3-06b)
  IpAddress docker_bridge_address;             // IPv4; used only with docker_bridge
  std::uint16_t port = 6783;                   // mesh TCP and sleeve UDP; the fast datapath uses port + 1
  std::optional<FirewallControlPort> control;  // absent: control is off or on a unix socket
  std::vector<FirewallExposure> exposures;     // order is kept; equal networks count once
  bool expect_npc = false;                     // steer traffic through the network policy controller's chains
  std::string no_masq_local_set;  // ipset of local destinations that are not masqueraded; must exist. Empty: none

  friend bool operator==(const FirewallConfig&, const FirewallConfig&) = default;
};

enum class FirewallTable : std::uint8_t { kFilter, kMangle, kNat };
absl::string_view ToString(FirewallTable table);

// A chain of ours.
struct FirewallChain {
  FirewallTable table = FirewallTable::kFilter;
  std::string name;
  std::vector<std::string> rules;
  bool others_fill = false;  // the chain must exist; its content belongs to somebody else (WEAVE-NPC)

  friend bool operator==(const FirewallChain&, const FirewallChain&) = default;
};

// Our rules in a built-in chain.
struct FirewallBuiltin {
  FirewallTable table = FirewallTable::kFilter;
  std::string chain;
  std::vector<std::string> top;      // the chain begins with these, in this order
  std::vector<std::string> present;  // anywhere in the chain; appended when missing

  friend bool operator==(const FirewallBuiltin&, const FirewallBuiltin&) = default;
};

// Names by which rules of ours are found again that carry no other sign of us.
struct FirewallOwner {
  std::string bridge = "weave";
  std::string docker_bridge;  // may be empty: found from the rules themselves where these are whole
  std::uint16_t port = 6783;

  friend bool operator==(const FirewallOwner&, const FirewallOwner&) = default;
};

struct RuleSet {
  FirewallOwner owner;
  std::vector<FirewallChain> chains;
  std::vector<FirewallBuiltin> builtins;

  friend bool operator==(const RuleSet&, const RuleSet&) = default;
};

// InvalidArgument for a name that cannot be an interface's or a set's, an address that is not IPv4, or port 0 or 65535.
absl::StatusOr<RuleSet> BuildRuleSet(const FirewallConfig& config);

// Inside a container (spec/overlay.md section 6.1): INPUT on `interface` accepts 224.0.0.0/4 from the interface's own
// `subnets` and drops it from elsewhere. No subnets: no rules. InvalidArgument as above.
absl::StatusOr<RuleSet> BuildSandboxRuleSet(absl::string_view interface, const std::vector<Cidr>& subnets);

// The whole set as `iptables-restore --noflush` would build it on an empty machine: for people and golden tests.
std::string RenderRuleSet(const RuleSet& rules);

// Whether a chain is one of ours by name: WEAVE, WEAVE-EXPOSE, WEAVE-CANARY, WEAVE-NPC* and WEAVE-IPSEC-*.
bool IsWeaveChain(absl::string_view name);

// The text by which the control port's rule is known, whatever the port was (contract A.22 item 6).
inline constexpr char kControlPortComment[] = "Block non-local access to Weave Net control port";

}  // namespace weave
