#include "peer/name_http.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "io/http_message.h"
#include "peer/dns_pages.h"

namespace weave {
namespace {

class NameApi : public std::enable_shared_from_this<NameApi> {
 public:
  NameApi(EventLoop& loop, CoreDriver& driver, NameHttpHooks hooks)
      : loop_(loop), driver_(driver), hooks_(std::move(hooks)) {}

  // PUT /name/{container}/{ip}: fqdn=NAME, check-alive=true.
  void Put(HttpCall call) const {
    const absl::StatusOr<HttpForm> form = ParseForm(call.request);
    if (!form.ok()) return call.reply.Send(HttpError(400, form.status().message()));
    const std::string container = call.Param("container");
    const std::optional<IpAddress> address = AddressOf(call);
    if (!address.has_value()) return;
    AddNameRequest request{container, *address, form->First("fqdn").value_or("")};
    if (form->First("check-alive").value_or("") != "true") return Ask(std::move(request), std::move(call.reply));
    hooks_.check_alive(container, [self = shared_from_this(), request = std::move(request),
                                   reply = std::move(call.reply)](bool alive) mutable {
      if (alive) return self->Ask(std::move(request), std::move(reply));
      self->Ask(RemoveNamesRequest{request.holder, request.address, request.hostname}, std::move(reply));
    });
  }

  // DELETE /name, /name/{container}, /name/{container}/{ip}: `*` is any container, fqdn=NAME narrows it.
  void Delete(HttpCall call, bool with_container, bool with_address) const {
    const absl::StatusOr<HttpForm> form = ParseForm(call.request);
    if (!form.ok()) return call.reply.Send(HttpError(400, form.status().message()));
    RemoveNamesRequest request;
    if (with_container && call.Param("container") != "*") request.holder = call.Param("container");
    if (with_address) {
      request.address = AddressOf(call);
      if (!request.address.has_value()) return;
    }
    if (const std::string name = form->First("fqdn").value_or(""); !name.empty()) request.hostname = name;
    Ask(std::move(request), std::move(call.reply));
  }

  void List(HttpCall call) const {
    if (call.request.Header("Accept") != absl::string_view("application/json")) return call.reply.Send({405, "", ""});
    loop_.Post([self = shared_from_this(), reply = std::move(call.reply)]() mutable {
      reply.Send({200, "text/plain; charset=utf-8", NamesJson(self->hooks_.names->Listing())});
    });
  }

  void Say(HttpCall call, std::function<std::string(const NameHttpHooks&)> what) const {
    loop_.Post([self = shared_from_this(), what = std::move(what), reply = std::move(call.reply)]() mutable {
      reply.Send({200, "", what(self->hooks_)});
    });
  }

 private:
  // None: the client has been told.
  static std::optional<IpAddress> AddressOf(HttpCall& call) {
    const std::string text = call.Param("ip");
    const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
    if (address.ok() && address->IsV4()) return *address;
    call.reply.Send(HttpError(400, absl::StrCat("invalid IP Address: ", text)));
    return std::nullopt;
  }

  void Ask(ApiRequest request, HttpReply reply) const {
    loop_.Post([self = shared_from_this(), request = std::move(request), reply = std::move(reply)]() mutable {
      self->driver_.Submit(std::move(request), [reply = std::move(reply)](const Reply& answer) mutable {
        if (answer.status.ok()) return reply.Send({204, "", ""});
        reply.Send(HttpError(absl::IsInvalidArgument(answer.status) ? 400 : 500, answer.status.message()));
      });
    });
  }

  EventLoop& loop_;
  CoreDriver& driver_;
  const NameHttpHooks hooks_;
};

}  // namespace

void AddNames(HttpRouter& router, EventLoop& loop, CoreDriver& driver, const NameHttpHooks& hooks) {
  if (hooks.names == nullptr) return;
  const auto api = std::make_shared<const NameApi>(loop, driver, hooks);
  router.Add("PUT", "/name/{container}/{ip}", [api](HttpCall call) { api->Put(std::move(call)); });
  router.Add("DELETE", "/name/{container}/{ip}", [api](HttpCall call) { api->Delete(std::move(call), true, true); });
  router.Add("DELETE", "/name/{container}", [api](HttpCall call) { api->Delete(std::move(call), true, false); });
  router.Add("DELETE", "/name", [api](HttpCall call) { api->Delete(std::move(call), false, false); });
  router.Add("GET", "/name", [api](HttpCall call) { api->List(std::move(call)); });
  router.Add("GET", "/domain", [api](HttpCall call) {
    api->Say(std::move(call), [](const NameHttpHooks& h) { return h.names->domain(); });
  });
  router.Add("GET", "/dns-address", [api](HttpCall call) {
    api->Say(std::move(call), [](const NameHttpHooks& h) {
      const std::string address = h.address();
      return address.substr(0, address.rfind(':'));
    });
  });
  router.Add("GET", "/dns-address-port",
             [api](HttpCall call) { api->Say(std::move(call), [](const NameHttpHooks& h) { return h.address(); }); });
}

}  // namespace weave
