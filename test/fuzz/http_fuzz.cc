// Fuzz target: what a stranger can put into a URL and a form. First byte: which decoder.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "io/http_listen_socket.h"
#include "io/http_message.h"
#include "io/http_router.h"

namespace weave {
namespace {

void FuzzForm(absl::string_view text) {
  const auto form = ParseForm(text);
  if (!form.ok()) return;
  std::size_t size = 0;
  for (const auto& [key, value] : form->pairs()) size += key.size() + value.size();
  CHECK(size <= text.size()) << "a form grew";
}

const HttpRouter& Router() {
  static const HttpRouter* const router = [] {
    auto* made = new HttpRouter;
    const auto handler = [](HttpCall call) {
      for (const auto& [name, value] : call.params) {
        CHECK(!value.empty() && value.find('/') == std::string::npos) << name;
      }
      call.reply.Send(HttpResponse{});
    };
    made->Add("GET", "/status", handler);
    made->Add("GET", "/ip/{id}", handler);
    made->Add("GET", "/ip/{id}/{ip}/{len}", handler);
    made->Add("POST", "/expose/{ip}/{len}", handler);
    return made;
  }();
  return *router;
}

// However the request looks, it is answered once, with a status of the contract.
void FuzzRoute(absl::string_view target) {
  HttpRequest request;
  request.method = "GET";
  if (!SplitTarget(target, request).ok()) return;
  int answer_count = 0;
  auto exchange = std::make_shared<HttpExchange>([&answer_count](HttpResponse response) {
    ++answer_count;
    CHECK(response.status == 200 || response.status == 400 || response.status == 404 || response.status == 405);
  });
  Router().Dispatch(std::move(request), HttpReply(std::move(exchange)));
  CHECK(answer_count == 1);
}

}  // namespace
}  // namespace weave

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 3) {
    case 0:
      weave::FuzzForm(text);
      break;
    case 1:
      weave::FuzzRoute(text);
      break;
    default:
      (void)weave::ParseHttpAddress(text).ok();
  }
  return 0;
}
