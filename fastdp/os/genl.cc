#include "fastdp/os/genl.h"

#include <linux/genetlink.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "fastdp/os/netlink_attributes.h"

namespace weave {
namespace {

void ReadGroup(ByteView bytes, GenlFamily& family) {
  std::string name;
  int id = 0;
  NetlinkAttributes attributes(bytes);
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == CTRL_ATTR_MCAST_GRP_NAME) name = std::string(attribute->Text());
    if (attribute->type == CTRL_ATTR_MCAST_GRP_ID) id = attribute->As<int>().value_or(0);
  }
  if (!name.empty() && id > 0) family.groups[name] = id;
}

}  // namespace

absl::StatusOr<GenlFamily> DecodeGenlFamily(ByteView payload) {
  GenlFamily family;
  NetlinkAttributes attributes(payload.size() < GENL_HDRLEN ? ByteView() : payload.subspan(GENL_HDRLEN));
  while (const auto attribute = attributes.Next()) {
    if (attribute->type == CTRL_ATTR_FAMILY_ID) family.id = attribute->As<std::uint16_t>().value_or(0);
    if (attribute->type != CTRL_ATTR_MCAST_GROUPS) continue;
    NetlinkAttributes groups(attribute->value);
    while (const auto group = groups.Next()) ReadGroup(group->value, family);
  }
  if (family.id == 0) return absl::InvalidArgumentError("generic netlink: a family without a number");
  return family;
}

absl::StatusOr<GenlFamily> FindGenlFamily(NetlinkSocket& socket, absl::string_view name) {
  NetlinkRequest request(GENL_ID_CTRL, 0);
  request.Append(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0}).Put(CTRL_ATTR_FAMILY_NAME, name);
  absl::StatusOr<GenlFamily> result = absl::NotFoundError(absl::StrCat("generic netlink family ", name));
  RETURN_IF_ERROR(socket.Exchange(request, absl::StrCat("looking for the generic netlink family ", name),
                                  [&](const nlmsghdr& header) { result = DecodeGenlFamily(PayloadOf(header)); }));
  return result;
}

}  // namespace weave
