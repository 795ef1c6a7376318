// A host of its own for a test of the `weave` program: mount and network namespaces with an empty /run, /var/log and
// /var/lib, so that nothing of the machine is seen or touched. And the means to run `weave` there and watch it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "io/subprocess.h"

namespace weave {

struct Result {
  int exit_status;
  std::string out;
  std::string err;
};

class World {
 public:
  // Enters fresh namespaces; the previous World's are gone. Exits with 77 (skipped) when not root.
  World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Ends what the test left running.
  ~World();

  // Runs `weave ARGS` to its end.
  Result Weave(const std::vector<std::string>& args) const;

  // Launches the peer with a journal and further flags.
  Result Launch(std::vector<std::string> flags = {}) const;

  // Starts `weave ARGS` and leaves it alone. Not a child to wait for: the test kills it or waits for what it does.
  pid_t Start(const std::vector<std::string>& args) const;

  // The lines of the peer's journal that begin with `word`, without it (test/cli/fake_weaver.cc).
  std::vector<std::string> Journal(absl::string_view word) const;

  // The pid of the peer that started last; 0: none.
  pid_t WeaverPid() const;
  pid_t SupervisorPid() const;

  std::vector<std::pair<std::string, std::string>> environment;  // for the next runs
};

bool IsAlive(pid_t pid);
bool Exists(const std::string& path);

// Names in a directory, sorted, separated by blanks; empty too when it does not exist.
std::string Listing(const std::string& directory);

// Waits until `condition` holds. False after 20 s, which no passing test waits for.
bool Eventually(const std::function<bool()>& condition);

}  // namespace weave
