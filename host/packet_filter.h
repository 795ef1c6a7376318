// The host's packet filter, whichever program drives it (iptables-nft or iptables-legacy): brings a RuleSet in, takes
// everything of ours out, says what is missing. Between firewall_diff.h (what to change) and io/subprocess.h.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"
#include "host/firewall_diff.h"
#include "host/firewall_ipsec.h"
#include "host/firewall_rules.h"

namespace weave {

enum class FirewallBackend { kNft, kLegacy };
absl::string_view ToString(FirewallBackend backend);  // "nft", "legacy"

// The value of IPTABLES_BACKEND (contract A4-13l): "nft", "legacy"; "auto" or empty is nullopt. Else InvalidArgument.
absl::StatusOr<std::optional<FirewallBackend>> ParseFirewallBackend(absl::string_view text);

// In the chain FORWARD of the table filter.
inline constexpr char kForwardReject[] = "-j REJECT --reject-with icmp-host-prohibited";

struct PacketFilterOptions {
  std::optional<FirewallBackend> backend;  // nullopt: what the host uses
  // Directories searched for the programs. Empty: those of PATH, then /usr/local/sbin, /usr/sbin, /sbin.
  std::vector<std::string> search_path;
  Duration deadline = absl::Seconds(10);  // of one program
  int lock_wait_seconds = 5;              // how long a program waits for the xtables lock of another
};

// Every call runs programs and blocks, seconds if need be: call from a worker, never on the loop. Works in the network
// namespace of the calling thread. Holds no state but paths: usable from several threads, copies are equal.
//
// Errors: NotFound, a program is missing (names the package); Unimplemented, the kernel lacks what the back end needs;
// FailedPrecondition, rules of others make it impossible; Unavailable, the xtables lock stayed taken; DeadlineExceeded,
// a program hung; Aborted, the rules differed again each time we had put them right.
class PacketFilter {
 public:
  // Without a wish: legacy when it holds ten rules of others or more (contract A14-08), or more than nft does; nft when
  // that has more; else what plain `iptables` is. Of two back ends the one that is installed.
  static absl::StatusOr<PacketFilter> Detect(const PacketFilterOptions& options = {});

  // Takes everything of ours out of every installed back end, whatever the configuration was (contract A2-27): the back
  // end may have been another when the rules were made. OK when none is installed.
  static absl::Status RemoveFromAll(const FirewallOwner& owner, const PacketFilterOptions& options = {});

  // Takes our rules out of the other back end, if it is installed: an earlier start, or 2.8, may have used that.
  absl::Status RemoveFromOther(const FirewallOwner& owner, const PacketFilterOptions& options = {}) const;

  FirewallBackend backend() const { return backend_; }

  // Brings the rules in: one transaction per table, rules of others and what already matches untouched, our rules of an
  // earlier configuration taken out. Repeating it changes nothing. Returns what was found and mended.
  absl::StatusOr<FirewallDiff> Apply(const RuleSet& rules) const;

  // What Apply would change; changes nothing.
  absl::StatusOr<FirewallDiff> Verify(const RuleSet& rules) const;

  // Takes out everything of ours. OK when nothing is left to take out.
  absl::Status Remove(const FirewallOwner& owner) const;

  // All rules and chains of the tables that we use, of others too.
  absl::StatusOr<FirewallDump> Read() const;

  // Whether FORWARD refuses whatever reaches its end with kForwardReject, as some distributions set it up: our rules
  // come before, but what they leave to others does not get through (contract A2-04).
  absl::StatusOr<bool> RejectsForwarding() const;

  // The paths of which there are rules (FindIpsecPaths).
  absl::StatusOr<std::vector<IpsecPath>> ListIpsecPaths() const;

  // The multicast rules of a container's interface, in the network namespace `netns_fd` (borrowed). `subnets` are all
  // subnets of the interface: others from an earlier call are taken out. Same rules: nothing changes.
  absl::Status ApplyInSandbox(int netns_fd, absl::string_view interface, const std::vector<Cidr>& subnets) const;
  absl::Status RemoveInSandbox(int netns_fd, absl::string_view interface) const;

 private:
  using FindOwned = absl::FunctionRef<OwnedParts(const FirewallDump&)>;
  static constexpr int kOwnNamespace = -1;

  PacketFilter(FirewallBackend backend, std::string save, std::string restore, const PacketFilterOptions& options);

  // NotFound when the back end is not installed.
  static absl::StatusOr<PacketFilter> Find(FirewallBackend backend, const PacketFilterOptions& options);

  // Rules of others in all tables.
  absl::StatusOr<std::size_t> CountForeignRules() const;

  absl::StatusOr<std::string> Save(int netns_fd) const;
  absl::StatusOr<FirewallDump> Dump(int netns_fd) const;
  absl::Status Restore(const std::string& text, int netns_fd) const;
  // With `confirm` the result is read back: what does not read as it was written would be mended for ever.
  absl::StatusOr<FirewallDiff> Reconcile(const RuleSet& rules, FindOwned find_owned, int netns_fd, bool confirm) const;

  FirewallBackend backend_;
  std::string save_;  // paths of programs
  std::string restore_;
  Duration deadline_;
  int lock_wait_seconds_;
};

}  // namespace weave
