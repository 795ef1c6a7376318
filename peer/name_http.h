// The HTTP paths about names: /name..., /domain, /dns-address, /dns-address-port (spec/dns.md section 5).
#pragma once

#include <functional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "io/event_loop.h"
#include "io/http_router.h"
#include "peer/core_driver.h"

namespace weave {

struct NameHttpHooks {
  const NameRegistry* names = nullptr;             // null: --no-dns, and these paths do not exist
  std::function<std::string()> address = nullptr;  // where we listen, host:port; called on the loop
  // Whether a container runs; `done` is called on any thread.
  std::function<void(std::string container, absl::AnyInvocable<void(bool alive)> done)> check_alive = nullptr;
};

// Loop, driver and hooks outlive the servers that use the router.
void AddNames(HttpRouter& router, EventLoop& loop, CoreDriver& driver, const NameHttpHooks& hooks);

}  // namespace weave
