// Pictures of a mesh for the tests of pages, report and metrics, and what a reference peer answered
// (golden/vectors/http_examples.json).
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "mesh/mesh_status.h"

namespace weave {

// The reference peer of the examples: alone, named 00:00:00:00:00:01(peer1).
MeshStatus LonelyMesh();

// A connection from 10.77.0.<number>:6783, the peer 00:00:00:00:00:0<number>(peer<number>).
MeshStatus::Connection Live(int number, MeshStatus::ConnectionState state);

MeshStatus::Connection Target(const std::string& address, MeshStatus::ConnectionState state);

// The body of the first answer with status 200 to GET `path` that holds `part`; ends the test when there is none.
// `accept`: the request's header Accept.
std::string ReferenceBody(absl::string_view path, absl::string_view part = "", absl::string_view accept = "");

}  // namespace weave
