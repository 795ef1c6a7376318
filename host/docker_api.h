// The one question `host/` asks a Docker daemon: which container is this. The answer's JSON is read here and nowhere
// else.
#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/time.h"

namespace weave {

struct DockerContainer {
  std::string id;    // 64 lower-case hex digits
  std::string name;  // without the leading slash
  bool running = false;
  pid_t pid = 0;             // of its first process, as the daemon's host sees it; 0 when not running
  std::string hostname;      // with its domain behind a dot, as Docker has them; empty: it has none
  std::string network_mode;  // "bridge", "host", "none", "container:<id>", a network's name
};

struct DockerApiOptions {
  std::string address = "unix:///var/run/docker.sock";  // or tcp://host:port (contract A4, DOCKER_HOST)
  Duration timeout = absl::Seconds(3);                  // for the whole exchange
};

// GET /containers/<name or id>/json. NotFound: no such container. Unavailable: nobody answers at the address, or its
// answer makes no sense. DeadlineExceeded: it accepts and says nothing. The name must follow Docker's grammar
// (IsContainerName).
absl::StatusOr<DockerContainer> InspectContainer(const DockerApiOptions& options, absl::string_view name_or_id);

// Docker's grammar of names, which ids follow too: [a-zA-Z0-9][a-zA-Z0-9_.-]*, here at most 255 characters.
bool IsContainerName(absl::string_view text);

// Docker's full ids: 64 lower-case hex digits.
bool IsContainerId(absl::string_view text);

// The body of that answer, which may be anything: InvalidArgument says what is wrong with it.
absl::StatusOr<DockerContainer> ParseContainerJson(absl::string_view json);

}  // namespace weave
