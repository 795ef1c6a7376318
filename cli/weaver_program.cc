#include "cli/weaver_program.h"

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "io/subprocess.h"

namespace weave {
namespace {

bool IsProgram(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

// The program that an environment variable names, if it is set.
absl::StatusOr<std::optional<std::string>> FindGiven(const Environment& environment, const char* variable) {
  const std::string given = ValueOf(environment, variable);
  if (given.empty()) return std::nullopt;
  std::error_code error;
  if (!IsProgram(given)) return absl::NotFoundError(absl::StrCat(variable, ": \"", given, "\" is not a program"));
  return std::filesystem::absolute(given, error).string();
}

}  // namespace

absl::StatusOr<std::string> FindWeaver(const Environment& environment) {
  ASSIGN_OR_RETURN(const std::optional<std::string> given, FindGiven(environment, "WEAVE_WEAVER"));
  if (given) return *given;
  std::vector<std::filesystem::path> candidates;
  std::error_code error;
  if (const auto self = std::filesystem::read_symlink("/proc/self/exe", error); !error) {
    candidates.push_back(self.parent_path() / "weaver");
    candidates.push_back((self.parent_path() / "../sbin/weaver").lexically_normal());
  }
  for (absl::string_view directory : absl::StrSplit(ValueOf(environment, "PATH"), ':', absl::SkipEmpty()))
    candidates.push_back(std::filesystem::path(std::string(directory)) / "weaver");
  for (const std::filesystem::path& candidate : candidates)
    if (IsProgram(candidate)) return std::filesystem::absolute(candidate, error).string();
  return absl::NotFoundError("the program 'weaver' is neither beside 'weave', nor in ../sbin, nor in PATH");
}

absl::StatusOr<std::string> FindPlugin(const Environment& environment, absl::string_view weaver) {
  ASSIGN_OR_RETURN(const std::optional<std::string> given, FindGiven(environment, "WEAVE_PLUGIN"));
  if (given) return *given;
  const std::filesystem::path beside = std::filesystem::path(std::string(weaver)).parent_path() / "weave-plugin";
  if (IsProgram(beside)) return beside.string();
  return absl::NotFoundError(absl::StrCat("the program 'weave-plugin' is not beside ", weaver));
}

absl::StatusOr<std::string> VersionOfWeaver(const Environment& environment) {
  ASSIGN_OR_RETURN(const std::string weaver, FindWeaver(environment));
  ASSIGN_OR_RETURN(const SubprocessResult result,
                   RunSuccessfully({.argv = {weaver, "version"}, .timeout = absl::Seconds(3)}));
  absl::string_view text = absl::StripAsciiWhitespace(result.output);
  if (!absl::ConsumePrefix(&text, "weave "))
    return absl::InternalError(absl::StrCat(weaver, " version: printed no version"));
  return std::string(text);
}

}  // namespace weave
