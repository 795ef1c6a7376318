#include "plugin/cni/cni_delegate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "io/subprocess.h"
#include "plugin/cni/cni_error.h"
#include "plugin/cni/cni_json.h"
#include "proto/json.h"

namespace weave {
namespace {

// Some ask servers and wait; runtimes give up after minutes by themselves.
constexpr Duration kDelegatePatience = absl::Minutes(2);

bool IsProgramFile(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

absl::StatusOr<std::string> FindPlugin(const std::string& type, absl::string_view path) {
  if (!IsCniName(type))
    return CniFailure(CniCode::kInvalidConfig,
                      absl::StrCat("ipam.type \"", absl::Utf8SafeCHexEscape(type), "\": want the name of a plugin"));
  for (absl::string_view directory : absl::StrSplit(path, ':', absl::SkipEmpty()))
    if (std::string program = absl::StrCat(directory, "/", type); IsProgramFile(program)) return program;
  return CniFailure(CniCode::kInvalidConfig,
                    absl::StrCat("ipam.type \"", type, "\": there is no such plugin in CNI_PATH \"", path, "\""));
}

// What the plugin says of its failure.
absl::Status ErrorOf(const std::string& type, const SubprocessResult& result) {
  v1::CniError error;
  const bool told = ParseJson(result.output, error).ok() && error.code() != 0;
  if (!told)
    return CniFailure(CniCode::kFailed, absl::StrCat("ipam plugin ", type, " failed with status ", result.exit_status),
                      absl::Utf8SafeCHexEscape(result.output.substr(0, 1000)));
  const int code = static_cast<int>(std::min<std::uint32_t>(error.code(), INT32_MAX));
  return CniFailure(code, absl::StrCat("ipam plugin ", type, ": ", error.msg()), error.details());
}

}  // namespace

absl::StatusOr<std::string> RunDelegate(CniContext& context, CniCommand command) {
  const std::string& type = context.config.ipam_type;
  ASSIGN_OR_RETURN(const std::string program, FindPlugin(type, context.call.path));
  ASSIGN_OR_RETURN(SubprocessResult result,
                   RunSubprocess({.argv = {program},
                                  .input = std::string(context.input),
                                  .timeout = kDelegatePatience,
                                  .environment = {{"CNI_COMMAND", std::string(ToString(command))}}}));
  context.err << result.error_output;
  if (!result.succeeded()) return ErrorOf(type, result);
  return std::move(result.output);
}

}  // namespace weave
