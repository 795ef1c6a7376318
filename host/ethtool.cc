#include "host/ethtool.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "io/fd.h"

namespace weave {

absl::Status DisableTxChecksumOffload(absl::string_view interface) {
  CHECK(interface.size() < IFNAMSIZ) << interface.size();
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError(errno, "open a socket for ethtool");
  ethtool_value value = {};
  value.cmd = ETHTOOL_STXCSUM;
  value.data = 0;
  ifreq request = {};
  std::memcpy(request.ifr_name, interface.data(), interface.size());
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) != 0)
    return ErrnoError(errno, absl::StrCat("switch TX checksum offload off on ", interface));
  return absl::OkStatus();
}

}  // namespace weave
