#include "io/http_router.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace weave {
namespace {

// The segments of "/a/b%3Ac", decoded. A segment that hides a '/' or a NUL keeps it and matches nothing.
absl::StatusOr<std::vector<std::string>> DecodePath(absl::string_view path) {
  std::vector<std::string> segments;
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  for (absl::string_view raw : absl::StrSplit(path, '/')) {
    absl::StatusOr<std::string> segment = PercentDecode(raw);
    if (!segment.ok()) return std::move(segment).status();
    segments.push_back(*std::move(segment));
  }
  return segments;
}

bool MayBeParameter(absl::string_view text) {
  return !text.empty() && text.find('/') == absl::string_view::npos && text.find('\0') == absl::string_view::npos;
}

}  // namespace

bool HttpExchange::Send(HttpResponse response) {
  Sender sender;
  absl::AnyInvocable<void() &&> forgotten;  // destroyed outside the lock: it may own anything
  {
    const MutexLock lock(&mutex_);
    if (answered_) return false;
    answered_ = true;
    sender = std::move(sender_);
    forgotten = std::move(on_gone_);
  }
  std::move(sender)(std::move(response));
  return true;
}

void HttpExchange::ClientGone() {
  absl::AnyInvocable<void() &&> callback;
  {
    const MutexLock lock(&mutex_);
    gone_ = true;
    if (!answered_) callback = std::move(on_gone_);
    on_gone_ = nullptr;
  }
  if (callback) std::move(callback)();
}

void HttpExchange::OnGone(absl::AnyInvocable<void() &&> callback) {
  {
    const MutexLock lock(&mutex_);
    CHECK(!on_gone_) << "OnGone called twice";
    if (answered_) return;
    if (!gone_) {
      on_gone_ = std::move(callback);
      return;
    }
  }
  std::move(callback)();
}

HttpReply& HttpReply::operator=(HttpReply&& other) noexcept {
  if (this != &other) {
    HttpReply dropped(std::move(*this));
    exchange_ = std::move(other.exchange_);
  }
  return *this;
}

HttpReply::~HttpReply() {
  if (exchange_) exchange_->Send(HttpError(500, "internal error: the request was dropped without an answer"));
}

void HttpReply::Send(HttpResponse response) {
  CHECK(exchange_ != nullptr) << "HTTP request answered twice";
  std::exchange(exchange_, nullptr)->Send(std::move(response));
}

void HttpReply::OnGone(absl::AnyInvocable<void() &&> callback) {
  CHECK(exchange_ != nullptr) << "OnGone after the answer";
  exchange_->OnGone(std::move(callback));
}

const std::string& HttpCall::Param(absl::string_view name) const {
  const auto it = std::find_if(params.begin(), params.end(), [&](const auto& param) { return param.first == name; });
  CHECK(it != params.end()) << "no path parameter {" << name << "}";
  return it->second;
}

void HttpRouter::Add(absl::string_view method, absl::string_view pattern, Handler handler) {
  CHECK(absl::StartsWith(pattern, "/")) << "pattern " << pattern << " has no leading '/'";
  Route route{.method = std::string(method), .segments = {}, .handler = std::move(handler)};
  for (absl::string_view text : absl::StrSplit(pattern.substr(1), '/')) {
    const bool parameter = text.size() > 2 && text.front() == '{' && text.back() == '}';
    if (parameter) text = text.substr(1, text.size() - 2);
    route.segments.push_back(Segment{.parameter = parameter, .text = std::string(text)});
  }
  routes_.push_back(std::move(route));
}

bool HttpRouter::Matches(const std::vector<Segment>& pattern, const std::vector<std::string>& path) {
  return std::equal(pattern.begin(), pattern.end(), path.begin(), path.end(),
                    [](const Segment& segment, const std::string& text) {
                      return segment.parameter ? MayBeParameter(text) : segment.text == text;
                    });
}

void HttpRouter::Dispatch(HttpRequest request, HttpReply reply) const {
  const absl::StatusOr<std::vector<std::string>> path = DecodePath(request.path);
  if (!path.ok()) return reply.Send(HttpError(400, path.status().message()));
  bool known_path = false;
  for (const Route& route : routes_) {
    if (!Matches(route.segments, *path)) continue;
    known_path = true;
    if (route.method != request.method) continue;
    HttpCall call{.request = std::move(request), .params = {}, .reply = std::move(reply)};
    for (std::size_t i = 0; i < path->size(); ++i) {
      if (route.segments[i].parameter) call.params.emplace_back(route.segments[i].text, (*path)[i]);
    }
    route.handler(std::move(call));
    return;
  }
  if (known_path) return reply.Send(HttpResponse{.status = 405, .content_type = "", .body = ""});
  reply.Send(HttpError(404, "404 page not found"));
}

}  // namespace weave
