// The requests of Docker's plugin protocol on one socket: bodies decoded, a driver called on a worker, answers and
// errors in the protocol's shape (spec/control.md section 7).
#pragma once

#include <memory>

#include "io/http_router.h"
#include "io/worker_pool.h"
#include "plugin/docker/ipam_driver.h"
#include "plugin/docker/network_driver.h"

namespace weave {

struct DriverApi {
  NetworkDriver* network = nullptr;
  IpamDriver* ipam = nullptr;  // null: this socket's driver manages no addresses
  bool global_scope = false;
  WorkerPool* quick = nullptr;    // for what answers within seconds
  WorkerPool* waiting = nullptr;  // for addresses that other peers may have to give
};

// The network driver's requests, the address management's if there is one, and Plugin.Activate. What `api` points to
// outlives the router.
std::shared_ptr<const HttpRouter> MakeDriverRouter(const DriverApi& api);

}  // namespace weave
