// Messages of proto/weave/v1 as JSON, by their JSON names.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace weave {

// Members that `message` has not are passed over, whatever is in them. InvalidArgument, one line: the text is no JSON
// object, or a member is of another type.
absl::Status ParseJson(absl::string_view json, google::protobuf::Message& message);

}  // namespace weave
