// What goes wrong in a CNI plugin as a Status that knows which of CNI's error codes a runtime is told.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weave {

// SPEC.md, "Well-known error codes"; from 100 on they are the plugin's own.
enum class CniCode {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,    // the message has its key and value
  kUnknownContainer = 3,    // nothing is left to clean up
  kInvalidEnvironment = 4,  // the message names the variables
  kIoFailure = 5,
  kUndecodable = 6,
  kInvalidConfig = 7,
  kTryAgainLater = 11,
  kUnavailable = 50,  // of STATUS: ADD cannot be served
  kFailed = 100,
  kNotAsMade = 101,  // of CHECK: not what ADD left
};

absl::Status CniFailure(CniCode code, absl::string_view message, absl::string_view details = "");

// What a delegated plugin said; any code.
absl::Status CniFailure(int code, absl::string_view message, absl::string_view details);

struct CniErrorParts {
  int code = 0;
  std::string message;
  std::string details;
};

// Statuses that CniFailure did not make are kTryAgainLater when waiting may help, else kFailed. `status` is not OK.
CniErrorParts PartsOf(const absl::Status& status);

// The same failure, told as `code`.
absl::Status WithCode(const absl::Status& status, CniCode code);

}  // namespace weave
