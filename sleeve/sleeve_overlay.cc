#include "sleeve/sleeve_overlay.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "sleeve/sleeve_codec.h"

namespace weave {

absl::Status SleeveOverlay::Prepare(Now, const OverlayConnection& connection) {
  if (!connection.local_tcp.ip.IsV4() || !connection.remote_tcp.ip.IsV4()) {
    return absl::FailedPreconditionError(absl::StrCat("sleeve: the connection to ", connection.remote_tcp.ToString(),
                                                      " is not over IPv4, which is all that sleeve carries"));
  }
  CHECK(connections_.Find(connection.connection) == nullptr) << connection.connection;
  connections_.Add(connection.connection, std::make_unique<SleeveConnection>(self_, connection, counters_, logger_));
  return absl::OkStatus();
}

void SleeveOverlay::Confirm(Now now, ConnectionId connection) {
  connections_.With(connection, [&](SleeveConnection& sleeve) { sleeve.Confirm(now, output_); });
}

void SleeveOverlay::OnControl(Now now, ConnectionId connection, std::uint8_t tag, ByteView data) {
  connections_.With(connection, [&](SleeveConnection& sleeve) { sleeve.OnControl(now, tag, data, output_); });
}

void SleeveOverlay::Stop(Now, ConnectionId connection) {
  const std::unique_ptr<SleeveConnection> sleeve = connections_.Take(connection);
  if (sleeve != nullptr && sleeve->confirmed()) output_.commands.push_back(CloseSleevePath{connection});
}

absl::btree_map<std::string, std::string> SleeveOverlay::Attributes(ConnectionId connection) const {
  const SleeveConnection* sleeve = Find(connection);
  if (sleeve == nullptr) return {};
  return {{"mtu", absl::StrCat(sleeve->mtu_search().mtu())}};
}

void SleeveOverlay::OnTimer(Now now) {
  connections_.WithDue(now.monotonic, [&](SleeveConnection& sleeve) { sleeve.OnTimer(now, output_); });
}

void SleeveOverlay::OnSpecialFrame(Now now, const SpecialFrameReceived& frame) {
  connections_.With(frame.connection, [&](SleeveConnection& sleeve) { sleeve.OnSpecialFrame(now, frame, output_); });
}

void SleeveOverlay::OnMessageTooBig(Now now, const SocketAddress& remote, std::size_t path_mtu) {
  connections_.WithAll([&](SleeveConnection& sleeve) {
    if (sleeve.remote_address() == remote) sleeve.OnMessageTooBig(now, path_mtu, output_);
  });
}

}  // namespace weave
