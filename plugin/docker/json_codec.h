// Answers of the plugin protocol, messages of proto/weave/v1/libnetwork.proto, as JSON.
#pragma once

#include <string>

#include "google/protobuf/message.h"

namespace weave {

// All fields, also empty ones, in their order, and a newline.
std::string ToJson(const google::protobuf::Message& message);

}  // namespace weave
