// The HTTP interfaces: control, status and metrics (spec/control.md section 1). Each is a router that any number of
// HttpServers may serve.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "io/event_loop.h"
#include "io/http_router.h"
#include "io/worker_pool.h"
#include "peer/core_driver.h"
#include "peer/ipam_http.h"
#include "peer/name_http.h"
#include "peer/report.h"

namespace weave {

// What the pages need from the rest of the shell; all called on the loop.
struct ControlHooks {
  std::function<absl::StatusOr<std::string>(const std::string& page)> status_page;
  std::function<bool()> ready;  // false: status pages carry code 503
  std::function<std::string()> metrics;
  std::function<ReportView()> report;
  WorkerPool* report_workers = nullptr;  // that make text of reports; never null
  // Dials these peers, beside those named before or in their place. Errors are one for each that cannot be dialled.
  std::function<void(std::vector<std::string> peers, bool replace,
                     absl::AnyInvocable<void(std::vector<absl::Status> errors)> done)>
      connect;
  IpamHttpHooks ipam;
  NameHttpHooks names = {};
};

struct ControlRouters {
  std::shared_ptr<const HttpRouter> control;  // everything
  std::shared_ptr<const HttpRouter> status;   // GET /status..., /metrics
  std::shared_ptr<const HttpRouter> metrics;  // GET /metrics
};

// The routers refer to the loop, driver and hooks, which outlive the servers that use them.
ControlRouters MakeControlRouters(EventLoop& loop, CoreDriver& driver, const ControlHooks& hooks);

}  // namespace weave
