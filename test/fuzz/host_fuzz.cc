// What foreign programs tell about this host: Docker's answers, and the packet filter as iptables-save prints it.
#include <cstdint>

#include "host/docker_api.h"
#include "host/firewall_dump.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  (void)weave::ParseContainerJson(text);
  (void)weave::ParseFirewallDump(text);
  return 0;
}
