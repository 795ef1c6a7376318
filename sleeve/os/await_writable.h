// Waiting for a socket or tap that is full.
#pragma once

#include <poll.h>

namespace weave {

// True once `fd` takes more; false after 10 ms: what does not fit then is lost, as on a wire.
inline bool AwaitWritable(int fd) {
  constexpr int kTimeout = 10;  // milliseconds
  pollfd writable = {fd, POLLOUT, 0};
  return poll(&writable, 1, kTimeout) > 0;
}

}  // namespace weave
