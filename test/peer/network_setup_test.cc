#include "peer/network_setup.h"

#include <string>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

using Texts = std::vector<std::string>;

TEST_CASE("Which peers are dialled first depends on why the peer starts", "[peer]") {
  const IdentityRecord identity{PeerName(1)};
  const DirectPeersRecord remembered{{"host3"}};
  struct Case {
    const char* description;
    Texts command_line;
    bool resume, restarted;
    std::vector<Record> records;
    Texts want;
  };
  const Case cases[] = {
      {"a plain launch", {"host2"}, false, false, {identity, remembered}, {"host2"}},
      {"a plain launch without peers", {}, false, false, {identity, remembered}, {}},
      {"--resume", {}, true, false, {identity, remembered}, {"host3"}},
      {"--resume, the first launch ever", {}, true, false, {}, {}},
      {"after a crash", {"host2"}, false, true, {identity, remembered}, {"host3"}},
      {"after a crash, all forgotten", {"host2"}, false, true, {identity}, {}},
      {"after a crash, the store is lost", {"host2"}, false, true, {}, {"host2"}},
      {"after a crash of a resumed peer", {}, true, true, {identity, remembered}, {"host3"}},
  };
  for (const Case& c : cases) {
    INFO(c.description);
    WeaverOptions options;
    options.peers = c.command_line;
    options.resume = c.resume;
    options.restarted = c.restarted;
    CHECK(FirstPeers(options, c.records) == c.want);
  }
}

TEST_CASE("--host wants an IPv4 address to listen on", "[peer]") {
  WeaverOptions options;
  CHECK_FALSE(MakeNetworkPortOptions(options)->host.has_value());
  options.host = "10.1.2.3";
  CHECK(MakeNetworkPortOptions(options)->host == IpAddress::Parse("10.1.2.3").value());
  for (const char* bad : {"host1", "::1", "10.1.2.3:6783", "10.1.2.3/24"}) {
    options.host = bad;
    const auto port = MakeNetworkPortOptions(options);
    INFO(bad);
    REQUIRE_FALSE(port.ok());
    CHECK(port.status().message() == "--host: invalid value \"" + std::string(bad) + "\": want an IPv4 address");
  }
}

}  // namespace
}  // namespace weave
