// An Open vSwitch datapath of the kernel, by name: made, looked at and deleted over generic netlink (spec/overlay.md
// section 3.3). Each network namespace has its own.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// Can this kernel do what fastdp needs? FailedPrecondition says what is missing, for the status page: the module, or
// its VXLAN. The kernel loads modules itself where it may. Works on a datapath of its own, "weave-probe", and leaves
// nothing behind; what a killed process left, the next call takes. Calling thread's namespace, as for the others.
absl::Status ProbeOvs();

// Makes the datapath, and with it the device of its name, or finds it; one that another program made gets the features
// that OvsDpif needs. A device of another kind with that name, or no Open vSwitch in this kernel: FailedPrecondition.
// Returns the index of the device.
absl::StatusOr<int> EnsureOvsDatapath(absl::string_view name);

// With all its ports and flows. Nothing there, or no Open vSwitch in this kernel, is success.
absl::Status DeleteOvsDatapath(absl::string_view name);

// Makes the interface a port. One that is a port of it already is success; of another datapath or bridge:
// AlreadyExists. NotFound: no such datapath or interface.
absl::Status AddOvsPort(absl::string_view datapath, absl::string_view interface);
// Nothing there is success. The interface stays.
absl::Status RemoveOvsPort(absl::string_view datapath, absl::string_view interface);

}  // namespace weave
