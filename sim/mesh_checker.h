// Checkers of a mesh that had time to settle: they look at all peers at once. OK, or Internal naming the first promise
// that is broken.
#pragma once

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "mesh/mesh_router.h"

namespace weave::sim {

using Routers = absl::Span<const MeshRouter* const>;

// Every peer knows exactly the others; each record of a peer is the one it has of itself; every connection is in the
// records of both its ends, and established. The routers are all there are of one network.
absl::Status CheckTopologies(Routers routers);

// Next hops lead to their destination, and what a peer broadcasts reaches each other peer exactly once. To be asked
// when the topologies agree, with time for the routes to follow.
absl::Status CheckRoutes(Routers routers);

}  // namespace weave::sim
