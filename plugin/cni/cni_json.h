// JSON from outside as messages of proto/weave/v1/cni.proto, and back. Private to plugin/cni.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <string>

#include "absl/status/status.h"

namespace weave {

// As ParseJson does, for an object that came in another message.
absl::Status FromStruct(const google::protobuf::Struct& object, google::protobuf::Message& message);

// Each member on a line of its own, indented by four (spec/control.md section 8.4), no newline at the end.
std::string PrintJson(const google::protobuf::Message& message);

// On one line.
std::string PrintJsonLine(const google::protobuf::Message& message);

}  // namespace weave
