// Which back end is chosen, and what is run how often, with programs that only pretend.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "host/netns.h"
#include "host/packet_filter.h"
#include "io/file.h"
#include "test/support/catch.h"

namespace weave {
namespace {

class Programs {
 public:
  Programs() {
    std::string name = (std::filesystem::temp_directory_path() / "weave-pf-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
    options_.search_path = {directory_};
  }
  ~Programs() { std::filesystem::remove_all(directory_); }

  Programs& Add(const std::string& name, const std::string& script) {
    const std::string file = path(name);
    std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
    REQUIRE(::chmod(file.c_str(), 0755) == 0);
    return *this;
  }

  // A back end that holds `count` rules of others.
  Programs& Backend(const std::string& name, int count) {
    Add(name + "-restore", "echo \"iptables-restore v1.8.9 (nf_tables)\"");
    return Add(name + "-save", absl::StrCat("echo '*filter'; echo ':INPUT ACCEPT [0:0]'; i=0; while [ $i -lt ", count,
                                            " ]; do echo '-A INPUT -i lo -j ACCEPT'; i=$((i+1)); done; echo COMMIT"));
  }

  absl::StatusOr<PacketFilter> Detect(std::optional<FirewallBackend> backend = std::nullopt) {
    options_.backend = backend;
    return PacketFilter::Detect(options_);
  }

  PacketFilterOptions& options() { return options_; }
  std::string path(absl::string_view name) const { return absl::StrCat(directory_, "/", name); }

 private:
  std::string directory_;
  PacketFilterOptions options_;
};

TEST_CASE("The back end is the one whose rules the host uses", "[host][firewall]") {
  struct Row {
    int legacy, nft;
    FirewallBackend chosen;
  };
  for (const Row& row : {Row{0, 0, FirewallBackend::kNft}, Row{5, 0, FirewallBackend::kLegacy},
                         Row{5, 7, FirewallBackend::kNft}, Row{9, 9, FirewallBackend::kNft},
                         Row{10, 200, FirewallBackend::kLegacy}, Row{50, 0, FirewallBackend::kLegacy}}) {
    INFO(row.legacy << " legacy, " << row.nft << " nft");
    Programs programs;
    programs.Backend("iptables-legacy", row.legacy).Backend("iptables-nft", row.nft);
    CHECK(programs.Detect().value().backend() == row.chosen);
    CHECK(programs.Detect(FirewallBackend::kLegacy).value().backend() == FirewallBackend::kLegacy);
    CHECK(programs.Detect(FirewallBackend::kNft).value().backend() == FirewallBackend::kNft);
  }
}

TEST_CASE("A container's rules are read once and written once", "[host][firewall][root]") {
  Programs programs;
  const std::string log = programs.path("log");
  programs
      .Add("iptables-nft-save",
           absl::StrCat("echo read >>", log, "; echo '*filter'; echo ':INPUT ACCEPT'; echo COMMIT"))
      .Add("iptables-nft-restore", absl::StrCat("echo written >>", log));
  const PacketFilter filter = programs.Detect(FirewallBackend::kNft).value();
  const absl::StatusOr<NetNs> here = NetNs::Current();
  REQUIRE(here.ok());
  REQUIRE(filter.ApplyInSandbox(here->fd(), "ethwe", {Cidr::Parse("10.32.0.0/12").value()}) == absl::OkStatus());
  CHECK(ReadSmallFile(log).value() == "read\nwritten\n");
}

TEST_CASE("With equal counts plain iptables decides", "[host][firewall]") {
  Programs programs;
  programs.Backend("iptables-legacy", 0).Backend("iptables-nft", 0);
  programs.Add("iptables-restore", "echo 'iptables-restore v1.8.9 (legacy)'");
  CHECK(programs.Detect().value().backend() == FirewallBackend::kLegacy);
}

TEST_CASE("Our own rules do not count as the host's habit", "[host][firewall]") {
  Programs programs;
  programs.Backend("iptables-nft", 1).Backend("iptables-legacy", 0);
  programs.Add("iptables-legacy-save",
               "i=0; while [ $i -lt 50 ]; do echo '-A WEAVE-EXPOSE -d 10.0.0.0/8 -j ACCEPT'; "
               "echo '-A INPUT -j WEAVE-NPC'; i=$((i+1)); done");
  CHECK(programs.Detect().value().backend() == FirewallBackend::kNft);
}

TEST_CASE("The only installed back end is taken, also under the plain name", "[host][firewall]") {
  Programs nft;
  nft.Backend("iptables-nft", 0);
  CHECK(nft.Detect().value().backend() == FirewallBackend::kNft);
  Programs plain;
  plain.Backend("iptables", 0);
  CHECK(plain.Detect().value().backend() == FirewallBackend::kNft);
  CHECK(absl::IsNotFound(plain.Detect(FirewallBackend::kLegacy).status()));
  Programs old;
  old.Backend("iptables", 0).Add("iptables-restore", "echo 'iptables-restore v1.6.1'");
  CHECK(old.Detect().value().backend() == FirewallBackend::kLegacy);
}

TEST_CASE("Missing programs are named with their package", "[host][firewall]") {
  Programs none;
  CHECK(absl::IsNotFound(none.Detect().status()));
  CHECK_THAT(std::string(none.Detect().status().message()), Catch::Contains("install the package iptables"));
  CHECK_THAT(std::string(none.Detect(FirewallBackend::kLegacy).status().message()),
             Catch::Contains("iptables-legacy-restore"));
  CHECK(PacketFilter::RemoveFromAll({}, none.options()).ok());
}

TEST_CASE("The backend variable takes three words", "[host][firewall]") {
  CHECK(ParseFirewallBackend("nft").value() == FirewallBackend::kNft);
  CHECK(ParseFirewallBackend("legacy").value() == FirewallBackend::kLegacy);
  CHECK_FALSE(ParseFirewallBackend("auto").value().has_value());
  CHECK_FALSE(ParseFirewallBackend("").value().has_value());
  CHECK(ParseFirewallBackend("iptables").status().message() ==
        "packet filter: back end \"iptables\" is not auto, nft or legacy");
}

TEST_CASE("What the programs say becomes an error a caller can act on", "[host][firewall]") {
  const RuleSet rules = BuildRuleSet({}).value();
  const auto apply = [&](const std::string& restore) {
    Programs programs;
    programs.Backend("iptables-legacy", 0).Add("iptables-legacy-restore", "cat >/dev/null; " + restore);
    return programs.Detect(FirewallBackend::kLegacy).value().Apply(rules).status();
  };
  CHECK(absl::IsUnimplemented(apply("echo \"can't initialize iptables table: do you need to insmod?\" >&2; exit 3")));
  CHECK(absl::IsUnavailable(apply("echo 'Another app is currently holding the xtables lock.' >&2; exit 4")));
  CHECK(absl::IsPermissionDenied(apply("echo 'Permission denied (you must be root)' >&2; exit 4")));
  CHECK(absl::IsAborted(apply("echo 'iptables-restore: line 3 failed' >&2; exit 1")));
  const absl::Status silent = apply("exit 0");
  CHECK(absl::IsAborted(silent));
  CHECK_THAT(std::string(silent.message()), Catch::Contains("after 3 attempts still"));
}

TEST_CASE("A program that hangs is given up at the deadline", "[host][firewall]") {
  Programs programs;
  programs.Backend("iptables-nft", 0).Add("iptables-nft-save", "exec sleep 60");
  programs.options().deadline = absl::Milliseconds(200);
  CHECK(absl::IsDeadlineExceeded(programs.Detect(FirewallBackend::kNft).value().Apply(RuleSet{}).status()));
}

TEST_CASE("Output that is no dump is refused, and nothing is changed", "[host][firewall]") {
  Programs programs;
  programs.Backend("iptables-nft", 0).Add("iptables-nft-save", "echo garbage");
  CHECK(absl::IsInvalidArgument(programs.Detect(FirewallBackend::kNft).value().Apply(RuleSet{}).status()));
}

}  // namespace
}  // namespace weave
