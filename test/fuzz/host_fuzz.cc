// What foreign programs tell about this host: Docker's answers and events, and the packet filter as iptables-save
// and nft print it.
#include <cstdint>

#include "host/docker_api.h"
#include "host/docker_events.h"
#include "host/docker_network.h"
#include "host/firewall_dump.h"
#include "host/firewall_ipsec.h"
#include "host/nft_ruleset.h"
#include "host/packet_walk.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  (void)weave::ParseContainerJson(text);
  const weave::WalkedPacket packet{"eth0", "", {}, {}, "tcp", 6783, false, true};
  if (const auto dump = weave::ParseFirewallDump(text); dump.ok()) {
    (void)weave::FindIpsecPaths(*dump);
    (void)weave::WalkFilter(*dump, "INPUT", packet);
  }
  for (const weave::NftTable& table : weave::ParseNftRuleset(text))
    for (const weave::NftTable::BaseChain& base : table.bases) (void)weave::WalkFilter(table.dump, base.name, packet);
  (void)weave::ChooseDockerApi(text);
  (void)weave::ParseDockerNetwork(text);
  (void)weave::ParseContainerNetworks(text);
  (void)weave::ParseSwarmManagers(text);
  (void)weave::ParseDockerPools(text);
  (void)weave::ParseDockerEndpoints(text);
  weave::DockerEventParser events;
  const std::size_t half = size / 2;
  if (events.Feed(text.substr(0, half), [](const weave::DockerEvent&) {}).ok())
    (void)events.Feed(text.substr(half), [](const weave::DockerEvent&) {});
  return 0;
}
