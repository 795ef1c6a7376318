// Fuzz target: the command line of weaver. Arguments are separated by zero bytes; the first is the value of every
// environment variable it looks at.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "peer/flags.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::string> args =
      absl::StrSplit(absl::string_view(reinterpret_cast<const char*>(data), size), absl::ByChar('\0'));
  const std::string variable = std::move(args.front());
  args.erase(args.begin());
  const absl::StatusOr<weave::WeaverOptions> options =
      weave::ParseWeaverOptions(args, [&](const char*) { return variable.c_str(); });
  if (options.ok()) {
    CHECK(options->port > 0 && options->port < 65535) << options->port;
    CHECK(!options->api_socket.empty() && options->api_socket.front() == '/') << options->api_socket;
    return 0;
  }
  const absl::string_view message = options.status().message();
  CHECK(message.size() < 1000 && message.find('\n') == absl::string_view::npos) << message;
  return 0;
}
