// resolv.conf, and who may have other name servers asked.
#include "dns/os/surroundings.h"
#include "test/support/catch.h"

namespace weave {
namespace {

IpAddress Ip(const char* text) { return IpAddress::Parse(text).value(); }

TEST_CASE("Of resolv.conf the name servers count, each once, in order", "[dns]") {
  CHECK(ParseResolvConf("# nameserver 9.9.9.9\nsearch a b\n nameserver\t8.8.8.8 \r\nnameserver 1.1.1.1\n"
                        "nameserver 8.8.8.8\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver nonsense\nnameserver\n"
                        "options ndots:5") == std::vector<IpAddress>{Ip("8.8.8.8"), Ip("1.1.1.1"), Ip("::1")});
  CHECK(ParseResolvConf("").empty());
}

TEST_CASE("Only this host and its containers may have others asked", "[dns]") {
  Surroundings surroundings;
  for (const char* network : {"127.0.0.1/8", "172.17.0.1/16", "192.168.1.5/32", "10.32.0.0/12", "0.0.0.0/0"})
    surroundings.clients.push_back(Cidr::Parse(network).value());
  for (const char* client : {"127.0.0.53", "172.17.4.4", "192.168.1.5", "10.40.0.1"})
    CHECK(MayAskUpstream(surroundings, Ip(client)));
  for (const char* client : {"192.168.1.6", "8.8.8.8", "172.18.0.1", "::1"})
    CHECK_FALSE(MayAskUpstream(surroundings, Ip(client)));
}

}  // namespace
}  // namespace weave
