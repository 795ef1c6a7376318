// How the ways of carrying frames use each other: a frame that came by one may have to leave by another.
#pragma once

#include "base/peer_name.h"
#include "overlay/forwarding.h"
#include "overlay/frame.h"

namespace weave {

class FrameCarrier {
 public:
  virtual ~FrameCarrier() = default;

  // One frame, as FrameSink::Send gives it. False: this way cannot carry it; nothing was sent.
  virtual bool Carry(const ForwardingHop& hop, PeerName source, PeerName destination, const Frame& frame,
                     bool broadcast) = 0;
};

// The way that also has the local bridge: the kernel's datapath.
class BridgeCarrier : public FrameCarrier {
 public:
  // Into the local bridge, as FrameSink::Deliver.
  virtual void Inject(const Frame& frame) = 0;
};

}  // namespace weave
