#include "cli/launch_state.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "io/file.h"

namespace weave {
namespace {

constexpr std::pair<const char*, std::string LaunchState::*> kFields[] = {
    {"db_prefix", &LaunchState::db_prefix},
    {"log", &LaunchState::log_path},
    {"bridge", &LaunchState::bridge},
    {"datapath", &LaunchState::datapath},
    {"docker_bridge", &LaunchState::docker_bridge},
    {"port", &LaunchState::port},
    {"http_addr", &LaunchState::http_addr},
};

}  // namespace

LaunchState DefaultLaunchState(const Instance& instance) {
  LaunchState state;
  state.db_prefix = instance.default_db_prefix();
  state.log_path = instance.log_path();
  return state;
}

std::string FormatLaunchState(const LaunchState& state) {
  std::string text;
  for (const auto& [name, field] : kFields) absl::StrAppend(&text, name, "=", state.*field, "\n");
  return text;
}

LaunchState ParseLaunchState(absl::string_view text, const Instance& instance) {
  LaunchState state = DefaultLaunchState(instance);
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    for (const auto& [name, field] : kFields)
      if (parts.first == name) state.*field = std::string(parts.second);
  }
  return state;
}

absl::StatusOr<std::optional<LaunchState>> ReadLaunchState(const Instance& instance) {
  const absl::StatusOr<std::string> text = ReadSmallFile(instance.launch_state());
  if (absl::IsNotFound(text.status())) return std::nullopt;
  RETURN_IF_ERROR(text.status());
  return ParseLaunchState(*text, instance);
}

}  // namespace weave
