#include "host/conntrack.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "io/fd.h"
#include "test/host/packet_filter_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

void SendUdp(std::uint16_t from, std::uint16_t to) {
  const auto loopback = [](std::uint16_t port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  };
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const sockaddr_in source = loopback(from), target = loopback(to);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof source) == 0);
  REQUIRE(::sendto(fd.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&target), sizeof target) == 1);
}

std::string CountOf(std::uint16_t from, std::uint16_t to) {
  return PacketFilterWorld::Run(
      absl::StrCat("grep -c 'udp .*sport=", from, " dport=", to, " .*sport=' /proc/self/net/nf_conntrack || true"));
}

TEST_CASE("Flows to a port are forgotten, those to others and those from it are not", "[host][conntrack]") {
  const PacketFilterWorld world;
  if (!PacketFilterWorld::Has(FirewallBackend::kNft)) return;
  CHECK(ForgetUdpFlowsTo(6783).value() == 0);
  PacketFilterWorld::Run("iptables-nft -A INPUT -m conntrack --ctstate NEW -j ACCEPT");  // now the kernel tracks
  for (std::uint16_t from = 40001; from <= 40005; ++from) SendUdp(from, 6783);
  SendUdp(40001, 6784);
  SendUdp(6783, 40009);
  for (std::uint16_t from = 40001; from <= 40005; ++from) CHECK(CountOf(from, 6783) == "1\n");

  CHECK(ForgetUdpFlowsTo(6783).value() == 5);
  for (std::uint16_t from = 40001; from <= 40005; ++from) CHECK(CountOf(from, 6783) == "0\n");
  CHECK(CountOf(40001, 6784) == "1\n");
  CHECK(CountOf(6783, 40009) == "1\n");
  CHECK(ForgetUdpFlowsTo(6783).value() == 0);
}

}  // namespace
}  // namespace weave
