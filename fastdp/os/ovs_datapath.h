// An Open vSwitch datapath of the kernel, by name: made, looked at and deleted over generic netlink (spec/overlay.md
// section 3.3). Each network namespace has its own.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// Can this kernel do what fastdp needs? FailedPrecondition says what is missing, for the status page: the module, or
// its VXLAN. Leaves nothing behind. Calling thread's namespace, as for the others.
absl::Status ProbeOvs();

// Makes the datapath, and with it the device of its name, or finds it. A device of another kind with that name:
// FailedPrecondition. Returns the index of the device.
absl::StatusOr<int> EnsureOvsDatapath(absl::string_view name);

// With all its ports and flows. Nothing there, or no Open vSwitch in this kernel, is success.
absl::Status DeleteOvsDatapath(absl::string_view name);

// Makes the interface a port. One that is a port of it already is success; of another datapath: AlreadyExists.
absl::Status AddOvsPort(absl::string_view datapath, absl::string_view interface);
// Nothing there is success. The interface stays.
absl::Status RemoveOvsPort(absl::string_view datapath, absl::string_view interface);

}  // namespace weave
