// The HTTP requests about addresses (spec/ipam.md section 11), answered as 2.8 does.
#pragma once

#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "io/event_loop.h"
#include "io/http_router.h"
#include "ipam/allocator.h"
#include "peer/core_driver.h"

namespace weave {

struct IpamHttpHooks {
  const Allocator* allocator = nullptr;  // read on the loop; null: there is none, and no path but /peer
  std::function<void(std::string container, absl::AnyInvocable<void(bool alive)> done)> check_alive;  // any thread
};

// Everything passed by reference or pointer outlives the router.
void AddIpam(HttpRouter& router, EventLoop& loop, CoreDriver& driver, const IpamHttpHooks& hooks);

}  // namespace weave
