// What `weave doctor` prints, for people and for programs.
#include "doctor/finding.h"

#include "absl/strings/match.h"
#include "test/doctor/facts.h"
#include "test/support/catch.h"

namespace weave::test {

TEST_CASE("A finding is one line that says what is wrong and what to type where", "[doctor]") {
  CHECK(FormatFinding({Severity::kOk, "ports", "the peer has TCP 6783"}) == "ok    ports: the peer has TCP 6783");
  CHECK(FormatFinding({Severity::kFail, "ports", "TCP port 6783 is held by nc (pid 7)", "kill 7"}) ==
        "fail  ports: TCP port 6783 is held by nc (pid 7); type: kill 7");
  CHECK(FormatFinding({Severity::kWarn, "clock", "slow", "timedatectl", "host2"}) ==
        "warn  clock: slow; type on host2: timedatectl");
}

TEST_CASE("What other peers call themselves makes no second line and commands no terminal", "[doctor]") {
  CHECK(FormatFinding({Severity::kFail, "peers", "a\nok    peers: \x1b[2Jfine", ""}) ==
        "fail  peers: a ok    peers:  [2Jfine");
}

TEST_CASE("Programs get the same as JSON", "[doctor]") {
  const std::vector<Finding> findings = {{Severity::kOk, "peer", "runs"},
                                         {Severity::kFail, "store", "\"a\\b\"\n", "df -h", "host2"}};
  CHECK(FindingsAsJson(findings) ==
        R"({
  "healthy": false,
  "findings": [
    {
      "severity": "ok",
      "check": "peer",
      "text": "runs"
    },
    {
      "severity": "fail",
      "check": "store",
      "text": "\"a\\b\"\n",
      "command": "df -h",
      "host": "host2"
    }
  ]
}
)");
  CHECK(absl::StrContains(FindingsAsJson({{Severity::kOk, "peer", "\xC3\xA9 \xC3( \xFF"}}),
                          "\"\xC3\xA9 \xEF\xBF\xBD( \xEF\xBF\xBD\""));
  CHECK(FindingsAsJson({}) == "{\n  \"healthy\": true,\n  \"findings\": []\n}\n");
}

TEST_CASE("On a host where all is well each check says so in one line", "[doctor]") {
  CHECK(Complaints(HealthyHost()).empty());
  Lines checks;
  for (const Finding& finding : Judge(HealthyHost())) checks.push_back(finding.check);
  CHECK(checks == Lines{"peer", "ports", "connections", "peers", "clock", "firewall", "mtu", "kernel", "store",
                        "addresses", "leftovers"});
  CHECK_FALSE(AnyFailed(Judge(HealthyHost())));
}

TEST_CASE("What could not be looked at is said, and fails nothing", "[doctor]") {
  DoctorFacts facts = HealthyHost();
  facts.unseen = {"rules of iptables-nft: not permitted"};
  CHECK(Complaints(facts) == Lines{"warn  doctor: rules of iptables-nft: not permitted"});
  CHECK_FALSE(AnyFailed(Judge(facts)));
}

}  // namespace weave::test
