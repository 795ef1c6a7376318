#include "peer/control_api.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "io/http_message.h"
#include "peer/metrics.h"
#include "peer/report_http.h"

namespace weave {
namespace {

int HttpCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    default:
      return 500;
  }
}

void AddMetrics(HttpRouter& router, EventLoop& loop, const ControlHooks& hooks) {
  router.Add("GET", "/metrics", [&loop, metrics = hooks.metrics](HttpCall call) {
    loop.Post([metrics, reply = std::move(call.reply)]() mutable {
      reply.Send({200, kMetricsContentType, metrics()});
    });
  });
}

void AnswerStatusPage(EventLoop& loop, const ControlHooks& hooks, const std::string& page, HttpReply reply) {
  loop.Post([hooks, page, reply = std::move(reply)]() mutable {
    absl::StatusOr<std::string> text = hooks.status_page(page);
    if (!text.ok()) return reply.Send(HttpError(404, "404 page not found"));
    reply.Send({hooks.ready() ? 200 : 503, "", *std::move(text)});
  });
}

void AddStatus(HttpRouter& router, EventLoop& loop, const ControlHooks& hooks) {
  router.Add("GET", "/status",
             [&loop, hooks](HttpCall call) { AnswerStatusPage(loop, hooks, "", std::move(call.reply)); });
  router.Add("GET", "/status/{page}", [&loop, hooks](HttpCall call) {
    const std::string page = call.Param("page");
    AnswerStatusPage(loop, hooks, page, std::move(call.reply));
  });
  router.Add("GET", "/report", [&loop, &workers = *hooks.report_workers, report = hooks.report](HttpCall call) {
    loop.Post([&workers, report, call = std::move(call)]() mutable {
      ReportView view = report();
      workers.Submit([call = std::move(call), view = std::move(view)]() mutable {
        call.reply.Send(AnswerReport(call.request, view));
      });
    });
  });
  AddMetrics(router, loop, hooks);
}

// POST /connect: peer=HOST[:PORT], repeatable; replace=true forgets those named before (spec/control.md section 2).
void AddConnect(HttpRouter& router, EventLoop& loop, const ControlHooks& hooks) {
  router.Add("POST", "/connect", [&loop, connect = hooks.connect](HttpCall call) {
    absl::StatusOr<HttpForm> form = ParseForm(call.request);
    if (!form.ok()) return call.reply.Send(HttpError(400, form.status().message()));
    const bool replace = form->First("replace").value_or("") == "true";
    loop.Post([connect, peers = form->All("peer"), replace, reply = std::move(call.reply)]() mutable {
      connect(std::move(peers), replace, [reply = std::move(reply)](const std::vector<absl::Status>& errors) mutable {
        if (errors.empty()) return reply.Send({200, "", ""});
        reply.Send(HttpError(400, absl::StrJoin(errors, "\n", [](std::string* out, const absl::Status& error) {
                               absl::StrAppend(out, error.message());
                             })));
      });
    });
  });
}

// POST /forget: peer=, as given to connect; repeatable.
void AddForget(HttpRouter& router, EventLoop& loop, CoreDriver& driver) {
  router.Add("POST", "/forget", [&loop, &driver](HttpCall call) {
    absl::StatusOr<HttpForm> form = ParseForm(call.request);
    if (!form.ok()) return call.reply.Send(HttpError(400, form.status().message()));
    loop.Post([&driver, peers = form->All("peer"), reply = std::move(call.reply)]() mutable {
      driver.Submit(ForgetRequest{std::move(peers)}, [reply = std::move(reply)](const Reply& answer) mutable {
        if (answer.status.ok()) return reply.Send({200, "", ""});
        reply.Send(HttpError(HttpCodeOf(answer.status), answer.status.message()));
      });
    });
  });
}

// POST /expose/{ip}/{prefixlen}[?skipNAT=bool]. A malformed skipNAT exposes nothing (docs/differences.md).
absl::StatusOr<ExposeRequest> ParseExpose(const HttpCall& call) {
  const std::string text = absl::StrCat(call.Param("ip"), "/", call.Param("prefixlen"));
  absl::StatusOr<Cidr> address = Cidr::Parse(text);
  if (!address.ok())
    return absl::InvalidArgumentError(absl::StrCat("unable to parse ip addr: invalid CIDR address: ", text));
  absl::StatusOr<HttpForm> form = ParseForm(call.request);
  if (!form.ok()) return form.status();
  const std::string skip_nat = form->First("skipNAT").value_or("false");
  if (skip_nat != "true" && skip_nat != "false" && skip_nat != "1" && skip_nat != "0")
    return absl::InvalidArgumentError(absl::StrCat("invalid skipNAT \"", skip_nat, "\": want true or false"));
  return ExposeRequest{{AddressWish(*address)}, skip_nat == "false" || skip_nat == "0"};
}

void AddExpose(HttpRouter& router, EventLoop& loop, CoreDriver& driver) {
  router.Add("POST", "/expose/{ip}/{prefixlen}", [&loop, &driver](HttpCall call) {
    absl::StatusOr<ExposeRequest> request = ParseExpose(call);
    if (!request.ok()) return call.reply.Send(HttpError(400, request.status().message()));
    loop.Post([&driver, request = *std::move(request), reply = std::move(call.reply)]() mutable {
      driver.Submit(std::move(request), [reply = std::move(reply)](const Reply& answer) mutable {
        if (answer.status.ok()) return reply.Send({204, "", ""});
        reply.Send(HttpError(HttpCodeOf(answer.status), answer.status.message()));
      });
    });
  });
}

}  // namespace

ControlRouters MakeControlRouters(EventLoop& loop, CoreDriver& driver, const ControlHooks& hooks) {
  auto control = std::make_shared<HttpRouter>();
  AddStatus(*control, loop, hooks);
  AddExpose(*control, loop, driver);
  AddConnect(*control, loop, hooks);
  AddForget(*control, loop, driver);
  AddIpam(*control, loop, driver, hooks.ipam);
  AddNames(*control, loop, driver, hooks.names);
  auto status = std::make_shared<HttpRouter>();
  AddStatus(*status, loop, hooks);
  auto metrics = std::make_shared<HttpRouter>();
  AddMetrics(*metrics, loop, hooks);
  return {std::move(control), std::move(status), std::move(metrics)};
}

}  // namespace weave
