// libnetwork's network driver (`weave`, `weavemesh`, or a managed plugin): networks are all the same Ethernet,
// endpoints are veth pairs on the bridge.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/log.h"
#include "plugin/docker/network_options.h"
#include "weave/v1/libnetwork.pb.h"

namespace weave {

struct NetworkDriverConfig {
  std::string bridge = "weave";
  std::string proc_path = "/proc";
  bool multicast_for_all = false;  // whatever a network says

  // Takes the host's end of a container's interface away, and so the other, quicker than we could. Any thread; whatever
  // goes wrong, we do it.
  std::function<absl::Status(int link_index, absl::string_view name)> remove_interface;

  // Of a network that was made when we were not asked. Any thread.
  std::function<absl::StatusOr<NetworkSettings>(absl::string_view network_id)> ask_settings;
};

// Any thread; blocks for some milliseconds. Calls about one endpoint may be repeated: what is there is taken over, what
// is gone is gone. A failed CreateEndpoint leaves nothing.
class NetworkDriver {
 public:
  // `options` and `logger` outlive this.
  NetworkDriver(NetworkDriverConfig config, NetworkOptions& options, Logger& logger);

  absl::Status CreateNetwork(const v1::libnetwork::NetworkRequest& request);
  absl::Status DeleteNetwork(const v1::libnetwork::NetworkRequest& request);
  absl::StatusOr<v1::libnetwork::CreateEndpointReply> CreateEndpoint(const v1::libnetwork::EndpointRequest& request);
  absl::Status DeleteEndpoint(const v1::libnetwork::EndpointRequest& request);

  // Which interface is the endpoint's, and its routes.
  using Join = std::variant<v1::libnetwork::JoinReply, v1::libnetwork::JoinReplyWithRoutes>;
  absl::StatusOr<Join> JoinEndpoint(const v1::libnetwork::EndpointRequest& request);

 private:
  // Those of a network that nobody can tell about are the usual ones.
  NetworkSettings SettingsOf(absl::string_view network_id);

  const NetworkDriverConfig config_;
  NetworkOptions& options_;
  Logger& logger_;
};

}  // namespace weave
