// What `weave doctor` has to say: one line each, which names the thing, what is wrong with it, and what to type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace weave {

enum class Severity : std::uint8_t {
  kOk,
  kWarn,  // works, but not as well as it could, or not for long
  kFail,  // does not work for somebody now
};

absl::string_view ToString(Severity severity);  // "ok", "warn", "fail"

struct Finding {
  Severity severity = Severity::kOk;
  std::string check;         // "ports"
  std::string text;          // the thing and what it means
  std::string command = {};  // what to type; empty when all is well
  std::string host = {};     // where to type it; empty: here

  friend bool operator==(const Finding&, const Finding&) = default;
};

// `fail  ports: TCP port 6783 is held by nc (pid 7); type: kill 7`. One line, whatever other peers put into names.
std::string FormatFinding(const Finding& finding);

// An object with "healthy", true when nothing failed, and "findings", in their order, with a final newline.
std::string FindingsAsJson(const std::vector<Finding>& findings);

bool AnyFailed(const std::vector<Finding>& findings);

// What one check finds.
class Findings {
 public:
  explicit Findings(std::vector<Finding>& all, absl::string_view check);

  void Warn(std::string text, std::string command, std::string host = "");
  void Fail(std::string text, std::string command, std::string host = "");
  // Said only when this check has found nothing so far.
  void OkUnlessFound(std::string text);

 private:
  std::vector<Finding>& all_;
  const std::string check_;
  const std::size_t first_;
};

}  // namespace weave
