// Families of generic netlink: the kernel numbers them, and their multicast groups, when their modules are loaded.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "host/netlink_socket.h"

namespace weave {

struct GenlFamily {
  int id = 0;                         // type of its messages
  std::map<std::string, int> groups;  // multicast groups by name
};

// `socket`: of NETLINK_GENERIC. The kernel loads the family's module if it can; NotFound: there is none.
absl::StatusOr<GenlFamily> FindGenlFamily(NetlinkSocket& socket, absl::string_view name);

// Of the bytes behind the netlink header of an answer.
absl::StatusOr<GenlFamily> DecodeGenlFamily(ByteView payload);

}  // namespace weave
