// Results and errors as each version of CNI writes them (SPEC.md, section 5). Between reading and printing a result has
// the newest form: `interfaces`, `ips` without a version, `routes`.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "plugin/cni/cni_version.h"
#include "weave/v1/cni.pb.h"

namespace weave {

// A result of any version. Code 6: it is none.
absl::StatusOr<v1::CniResult> ParseCniResult(absl::string_view json);
absl::StatusOr<v1::CniResult> ParseCniResult(const google::protobuf::Struct& object);

// 0.1.0 and 0.2.0 have room for one address of each family: the first.
std::string PrintCniResult(v1::CniResult result, CniVersion version);

// `version` as the configuration has it, perhaps empty.
std::string PrintCniError(const absl::Status& status, absl::string_view version);

// The answer to VERSION, with a newline.
std::string PrintCniVersions(absl::string_view version);

}  // namespace weave
