// What an overlay tells the mesh, in the order in which it happened: what PeerCore takes from the overlays after each
// event and passes on.
#pragma once

#include <variant>

#include "mesh/overlay.h"

namespace weave {

using OverlayEvent = std::variant<OverlayEstablished, OverlayFailed, OverlayControl>;

}  // namespace weave
