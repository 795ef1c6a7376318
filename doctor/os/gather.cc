#include "doctor/os/gather.h"

namespace weave {

void GatherHost(const GatherOptions& options, DoctorFacts& facts) {
  GatherPorts(options.proc_path, facts.peer.pid, facts.ports);
  GatherPaths(options.remotes, facts.paths);
  GatherFirewall(options, facts);
  facts.kernel = GatherKernel(options.proc_path);
  facts.store = GatherStore(options.store_path);
  GatherLinks(options, facts);
  facts.sockets = GatherSockets(options);
}

}  // namespace weave
