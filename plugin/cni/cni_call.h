// What a runtime tells a CNI plugin in its environment.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// The value of an environment variable, or null; ::getenv is one.
using CniEnvironment = std::function<const char*(const char* name)>;

enum class CniCommand { kAdd, kDel, kCheck, kGc, kStatus, kVersion };

// "ADD"
absl::string_view ToString(CniCommand command);

struct CniCall {
  CniCommand command = CniCommand::kVersion;
  std::string container_id;
  std::string netns;      // path of the container's network namespace; empty: gone, or not of this command
  std::string interface;  // name in there
  std::string path;       // where other plugins are: directories with colons between them
};

// Code 4 names every variable that is missing or malformed, with what is accepted.
absl::StatusOr<CniCall> ReadCniCall(const CniEnvironment& environment);

// The socket of the peer that is meant: $WEAVE_API_SOCKET, else /run/${WEAVE_CONTAINER_NAME:-weave}/peer.sock.
std::string ApiSocketOf(const CniEnvironment& environment);

}  // namespace weave
