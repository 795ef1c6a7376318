// Where the plugin says which name a container's address has. Part of the plugin's own room until the peer takes names.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "base/ip.h"

namespace weave {

// Called on the thread of the event watch; may block for a moment. Repeating a call changes nothing.
class NameSink {
 public:
  virtual ~NameSink() = default;

  // `name` is the container's hostname with its domain, if it has one; `holder` is the container's id.
  virtual void AddName(absl::string_view holder, const IpAddress& address, const std::string& name) = 0;
  // All of the holder's.
  virtual void RemoveNames(absl::string_view holder) = 0;
};

}  // namespace weave
