// Which peer of this host a command is about, and where its files are. Several instances share one file system: each
// has its API socket in a directory of its own.
#pragma once

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// The value of an environment variable, or null; ::getenv is one.
using Environment = std::function<const char*(const char* name)>;

// The variable's value; `otherwise` when it is not set. Set but empty is a value.
std::string ValueOf(const Environment& environment, const char* name, absl::string_view otherwise = "");

struct Instance {
  std::string api_socket;     // absolute path
  std::string run_directory;  // the socket's directory
  std::string name;           // that directory's own name

  // What runs `weave launch`, `weave reset` hold while at work, and what the supervisor, the peer and the Docker plugin
  // hold while they live.
  std::string launch_lock() const { return run_directory + "/launch.lock"; }
  std::string supervisor_lock() const { return run_directory + "/supervisor.lock"; }
  std::string weaver_lock() const { return run_directory + "/weaver.lock"; }
  std::string plugin_lock() const { return run_directory + "/plugin.lock"; }
  // Held by whoever stays with the plugin of a peer that is left alone (cli/supervisor.h).
  std::string plugin_supervisor_lock() const { return run_directory + "/plugin-supervisor.lock"; }

  // How the peer was launched (cli/launch_state.h).
  std::string launch_state() const { return run_directory + "/launch.state"; }

  std::string log_path() const { return "/var/log/weave/" + name + ".log"; }

  // --db-prefix when the user gives none; the peer keeps its state in <prefix>data.db.
  std::string default_db_prefix() const { return "/var/lib/" + name + "/weave"; }
};

// The socket is `api_socket_flag` (empty: not given), else $WEAVE_API_SOCKET, else
// /run/${WEAVE_CONTAINER_NAME:-weave}/peer.sock. A relative path is taken from the working directory. InvalidArgument
// names what gave a path that cannot be.
absl::StatusOr<Instance> ResolveInstance(absl::string_view api_socket_flag, const Environment& environment);

}  // namespace weave
