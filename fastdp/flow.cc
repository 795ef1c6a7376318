#include "fastdp/flow.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weave {
namespace {

std::string ToString(const TunnelKey& tunnel) {
  return absl::StrCat("tunnel(tun_id=0x", absl::Hex(tunnel.vni), ",src=", tunnel.source.ToString(),
                      ",dst=", tunnel.destination.ToString(), ")");
}

std::string ToString(const FlowAction& action) {
  if (const auto* set = std::get_if<SetTunnel>(&action)) return absl::StrCat("set(", ToString(set->tunnel), ")");
  if (const auto* sized = std::get_if<SizedOutput>(&action))
    return absl::StrCat("check_pkt_len(size=", sized->max_frame_size, ",gt(userspace),le(set(", ToString(sized->tunnel),
                        "),", sized->port, "))");
  return absl::StrCat(std::get<Output>(action).port);
}

}  // namespace

std::string ToString(const FlowKey& key) {
  return absl::StrCat(key.tunnel.has_value() ? absl::StrCat(ToString(*key.tunnel), ",") : "", "in_port(", key.in_port,
                      "),eth(src=", key.source.ToString(), ",dst=", key.destination.ToString(), ")");
}

std::string ToString(const FlowActions& actions) {
  if (actions.empty()) return "drop";
  return absl::StrJoin(actions, ",",
                       [](std::string* out, const FlowAction& action) { absl::StrAppend(out, ToString(action)); });
}

}  // namespace weave
