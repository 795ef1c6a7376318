// A network and mount namespace of a test's own in which it may change the packet filter: /run is private too, and with
// it the lock of iptables.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "host/packet_filter.h"
#include "io/subprocess.h"
#include "test/support/catch.h"

namespace weave {

inline constexpr FirewallBackend kBackends[] = {FirewallBackend::kNft, FirewallBackend::kLegacy};

class PacketFilterWorld {
 public:
  PacketFilterWorld() {
    REQUIRE(::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0);
    REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    REQUIRE(::mount("tmpfs", "/run", "tmpfs", 0, nullptr) == 0);
    Run("ip link set lo up");
  }

  static SubprocessResult TryToRun(const std::string& command) {
    SubprocessOptions options;
    options.argv = {"/bin/sh", "-c", command};
    absl::StatusOr<SubprocessResult> result = RunSubprocess(options);
    REQUIRE(result.ok());
    return *std::move(result);
  }

  static std::string Run(const std::string& command) {
    const SubprocessResult result = TryToRun(command);
    INFO(command << ": " << result.error_output);
    REQUIRE(result.succeeded());
    return result.output;
  }

  // The rules as people see them, without dates and counters.
  static std::string Rules(FirewallBackend backend) {
    return Run("iptables-" + std::string(ToString(backend)) + "-save | sed -e '/^#/d' -e 's/ \\[.*//'");
  }

  // Whether this kernel has the back end; says so when it has not.
  static bool Has(FirewallBackend backend) {
    const std::string name(ToString(backend));
    const SubprocessResult result = TryToRun("iptables-" + name + " -t nat -S");
    if (!result.succeeded()) WARN("skipped: this machine has no iptables-" << name << ": " << result.error_output);
    return result.succeeded();
  }

  static PacketFilter Filter(FirewallBackend backend) {
    PacketFilterOptions options;
    options.backend = backend;
    absl::StatusOr<PacketFilter> filter = PacketFilter::Detect(options);
    REQUIRE(filter.ok());
    return *std::move(filter);
  }
};

// Root is needed to make namespaces; says so without it.
inline bool MayMakeNamespaces() {
  if (::geteuid() == 0) return true;
  WARN("skipped: needs root");
  return false;
}

inline RuleSet ExampleRules() {
  FirewallConfig config;
  config.docker_bridge = "docker0";
  config.docker_bridge_address = IpAddress::Parse("172.17.0.1").value();
  config.control = FirewallControlPort{IpAddress::Parse("127.0.0.1").value(), 6784};
  config.exposures = {{Cidr::Parse("10.32.0.1/12").value(), true}};
  return BuildRuleSet(config).value();
}

}  // namespace weave
