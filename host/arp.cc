#include "host/arp.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "io/fd.h"

namespace weave {

Bytes ArpAnnouncement(const MacAddress& mac, const IpAddress& address) {
  CHECK(address.IsV4()) << address;
  const Bytes ip = address.ToBytes();
  Bytes frame(6, 0xff);  // destination: everybody
  auto append = [&](const auto& bytes) { frame.insert(frame.end(), bytes.begin(), bytes.end()); };
  append(mac.bytes());
  append(Bytes{0x08, 0x06});                                               // EtherType ARP
  append(Bytes{0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, ARPOP_REQUEST});  // Ethernet, IPv4, lengths 6 and 4
  append(mac.bytes());
  append(ip);
  append(Bytes(6, 0));
  append(ip);  // asking for itself: an announcement
  return frame;
}

absl::Status AnnounceAddress(int link_index, const MacAddress& mac, const IpAddress& address) {
  // Protocol 0: this socket only sends.
  Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError(errno, "open a socket to announce an address");
  const Bytes frame = ArpAnnouncement(mac, address);
  sockaddr_ll to = {};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(ETH_P_ARP);
  to.sll_ifindex = link_index;
  to.sll_halen = 6;
  std::fill_n(to.sll_addr, 6, 0xff);
  if (::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
    return ErrnoError(errno, absl::StrCat("announce address ", address.ToString()));
  return absl::OkStatus();
}

}  // namespace weave
