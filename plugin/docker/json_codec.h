// Bodies of the plugin protocol: JSON to the messages of proto/weave/v1/libnetwork.proto and back.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace weave {

// Fields that `message` does not have are skipped, whatever is in them. InvalidArgument: the text is no JSON object, or
// a field is of another type.
absl::Status ParseJson(absl::string_view text, google::protobuf::Message& message);

// All fields, also empty ones, in their order, and a newline.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace weave
