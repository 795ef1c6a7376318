// What Docker, or whoever has its place, asks a plugin. First byte: which request. What was taken is printed and taken
// again.
#include <cstdint>

#include "base/check.h"
#include "plugin/docker/ipam_driver.h"
#include "plugin/docker/json_codec.h"
#include "plugin/docker/network_driver.h"
#include "proto/json.h"

namespace weave {
namespace {

template <typename Request>
void TakeRequest(absl::string_view text) {
  Request request;
  if (!ParseJson(text, request).ok()) return;
  Request again;
  CHECK(ParseJson(ToJson(request), again).ok()) << ToJson(request);
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  namespace pb = weave::v1::libnetwork;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      weave::TakeRequest<pb::NetworkRequest>(text);
      break;
    case 1:
      weave::TakeRequest<pb::EndpointRequest>(text);
      break;
    case 2:
      weave::TakeRequest<pb::AddressRequest>(text);
      break;
    case 3:
      weave::TakeRequest<pb::RequestPoolRequest>(text);
      break;
    case 4:
      weave::TakeRequest<pb::AllocateNetworkRequest>(text);
      break;
    default:
      (void)weave::ReadNetworkSettings({{weave::kMulticastOption, std::string(text)}}, {});
      if (const auto pool = weave::ParsePoolId(text); pool.ok())
        CHECK(weave::FormatPoolId(weave::ParsePoolId(weave::FormatPoolId(*pool)).value()) ==
              weave::FormatPoolId(*pool));
  }
  return 0;
}
