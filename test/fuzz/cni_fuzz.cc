// What runtimes and other plugins write to the CNI plugins: configurations and results. What is understood prints, and
// reads back alike.
#include <cstdint>

#include "base/check.h"
#include "plugin/cni/cni_config.h"
#include "plugin/cni/cni_result.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  (void)weave::FindCniVersion(text);
  if (const auto config = weave::ParseCniConfig(text); config.ok()) {
    (void)weave::CheckForAdd(*config);
    (void)weave::ParsePeerIpam(*config);
    if (config->prev_result) (void)weave::ParseCniResult(*config->prev_result);
  }
  if (const auto result = weave::ParseCniResult(text); result.ok()) {
    for (const weave::CniVersion version : weave::AllCniVersions()) {
      const std::string printed = weave::PrintCniResult(*result, version);
      const auto again = weave::ParseCniResult(printed);
      CHECK(again.ok()) << printed;
      CHECK(weave::PrintCniResult(*again, version) == printed) << printed;
    }
  }
  return 0;
}
