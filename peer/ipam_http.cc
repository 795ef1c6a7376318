#include "peer/ipam_http.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/attachment.h"
#include "base/status.h"
#include "peer/report_value.h"

namespace weave {
namespace {

constexpr char kCancelled[] = "cancelled";  // with status 200, as in 2.8

HttpResponse Text(std::string text) { return {200, "", std::move(text)}; }
HttpResponse Done() { return {204, "", ""}; }

// What is asked of the allocator, and what is said of the answer.
struct Question {
  IpamOperation operation;
  std::function<HttpResponse(const Reply&)> answer;
};

class Ipam : public std::enable_shared_from_this<Ipam> {
 public:
  Ipam(EventLoop& loop, CoreDriver& driver, IpamHttpHooks hooks)
      : loop_(loop), driver_(driver), hooks_(std::move(hooks)) {}

  const Allocator& allocator() const { return *hooks_.allocator; }
  EventLoop& loop() const { return loop_; }

  // A client that goes cancels its request.
  void Ask(Question question, HttpReply reply) const {
    loop_.Post([self = shared_from_this(), question = std::move(question), reply = std::move(reply)]() mutable {
      self->Submit(question, reply);
    });
  }

  // Unless the client says that `ident` must be a container that runs, and it does not.
  void AskIfAlive(const HttpForm& form, const std::string& ident, Question question, HttpReply reply) const {
    if (form.First("check-alive").value_or("") != "true") return Ask(std::move(question), std::move(reply));
    hooks_.check_alive(ident, [self = shared_from_this(), question = std::move(question),
                               reply = std::move(reply)](bool alive) mutable {
      if (!alive) return reply.Send(Text(kCancelled));
      self->Ask(std::move(question), std::move(reply));
    });
  }

  // What `id` may be short for: the holder of that name, and the CNI attachments of that container (base/attachment.h).
  // Loop thread only.
  std::vector<std::string> HoldersOf(const std::string& id) const {
    const auto& allocations = allocator().allocations();
    std::vector<std::string> holders;
    if (allocations.contains(id)) holders.push_back(id);
    const std::string prefix = id + kAttachmentMark;
    for (auto it = allocations.lower_bound(prefix); it != allocations.end() && absl::StartsWith(it->first, prefix);
         ++it)
      if (ContainerOf(it->first) == id) holders.push_back(it->first);
    return holders;
  }

  // Frees all that these holders have; `done` once, with the first error.
  void ReleaseAll(const std::vector<std::string>& holders, std::function<void(const absl::Status&)> done) const {
    struct Progress {
      std::size_t left;
      absl::Status first_error;
    };
    const auto progress = std::make_shared<Progress>(Progress{holders.size(), absl::OkStatus()});
    for (const std::string& holder : holders)
      driver_.Submit(IpamRequest{ReleaseOperation{holder, std::nullopt}}, [progress, done](const Reply& reply) {
        progress->first_error.Update(reply.status);
        if (--progress->left == 0) done(progress->first_error);
      });
  }

 private:
  void Submit(Question& question, HttpReply& reply) const {
    auto shared = std::make_shared<HttpReply>(std::move(reply));
    const RequestId id =
        driver_.Submit(IpamRequest{std::move(question.operation)},
                       [shared, answer = std::move(question.answer)](const Reply& answered) {
                         shared->Send(absl::IsCancelled(answered.status) ? Text(kCancelled) : answer(answered));
                       });
    if (driver_.Waits(id))
      shared->OnGone([self = shared_from_this(), id] { self->loop_.Post([self, id] { self->driver_.Cancel(id); }); });
  }

  EventLoop& loop_;
  CoreDriver& driver_;
  const IpamHttpHooks hooks_;
};

using IpamPtr = std::shared_ptr<const Ipam>;

HttpResponse BadRequest(absl::string_view text) { return HttpError(400, text); }

absl::StatusOr<Cidr> CidrOf(const HttpCall& call) {
  const std::string text = absl::StrCat(call.Param("ip"), "/", call.Param("prefixlen"));
  absl::StatusOr<Cidr> cidr = Cidr::Parse(text);
  if (cidr.ok() && cidr->address().IsV4()) return cidr;
  return absl::InvalidArgumentError(absl::StrCat("invalid CIDR address: ", text));
}

void Allocate(const IpamPtr& ipam, HttpCall call, const Cidr& subnet) {
  const absl::StatusOr<HttpForm> form = ParseForm(call.request);
  if (!form.ok()) return call.reply.Send(BadRequest(form.status().message()));
  const std::string ident = call.Param("id");
  Question question{AllocateOperation{ident, subnet}, [](const Reply& reply) {
                      if (!reply.status.ok()) return BadRequest(reply.status.message());
                      return Text(reply.addresses.front().ToString());
                    }};
  ipam->AskIfAlive(*form, ident, std::move(question), std::move(call.reply));
}

void Claim(const IpamPtr& ipam, HttpCall call) {
  const absl::StatusOr<Cidr> address = CidrOf(call);
  if (!address.ok()) return call.reply.Send(BadRequest(address.status().message()));
  const absl::StatusOr<HttpForm> form = ParseForm(call.request);
  if (!form.ok()) return call.reply.Send(BadRequest(form.status().message()));
  const std::string ident = call.Param("id");
  const bool no_error_on_unknown = form->First("noErrorOnUnknown").value_or("") == "true";
  Question question{ClaimOperation{ident, *address, false, no_error_on_unknown}, [](const Reply& reply) {
                      if (reply.status.ok()) return Done();
                      return BadRequest(absl::StrCat("Unable to claim: ", reply.status.message()));
                    }};
  ipam->AskIfAlive(*form, ident, std::move(question), std::move(call.reply));
}

void Lookup(const IpamPtr& ipam, HttpCall call, const Cidr& subnet) {
  ipam->loop().Post([ipam, subnet, ident = call.Param("id"), reply = std::move(call.reply)]() mutable {
    std::vector<std::string> addresses;
    for (const std::string& holder : ipam->HoldersOf(ident))
      for (const Cidr& address : ipam->allocator().Lookup(holder, subnet)) addresses.push_back(address.ToString());
    reply.Send(Text(absl::StrJoin(addresses, " ")));
  });
}

void Free(const IpamPtr& ipam, HttpCall call) {
  const std::string ident = call.Param("id");
  const std::string text = call.Param("ip");
  const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (!address.ok()) return call.reply.Send(BadRequest(absl::StrCat("invalid IP Address: ", text)));
  ipam->Ask({ReleaseOperation{ident, *address},
             [ident, text](const Reply& reply) {
               if (reply.status.ok()) return Done();
               const std::string why = absl::IsNotFound(reply.status)
                                           ? absl::StrCat("Free: address ", text, " not found for ", ident)
                                           : std::string(reply.status.message());
               return BadRequest(absl::StrCat("Unable to free: ", why));
             }},
            std::move(call.reply));
}

HttpResponse AnswerDelete(const std::string& ident, const absl::Status& status) {
  if (status.ok()) return Done();
  if (absl::IsNotFound(status)) return BadRequest(absl::StrCat("Delete: no addresses for ", ident));
  return BadRequest(status.message());
}

void Delete(const IpamPtr& ipam, HttpCall call) {
  ipam->loop().Post([ipam, ident = call.Param("id"), reply = std::move(call.reply)]() mutable {
    std::vector<std::string> holders = ipam->HoldersOf(ident);
    if (holders.empty()) holders.push_back(ident);
    const auto shared = std::make_shared<HttpReply>(std::move(reply));
    ipam->ReleaseAll(holders,
                     [ident, shared](const absl::Status& status) { shared->Send(AnswerDelete(ident, status)); });
  });
}

// {"owned":[{"containerid":"c1","addrs":["10.32.0.1/12"]}]}
std::string AllocationsJson(const Allocator& allocator) {
  ReportValue::List owned;
  for (const auto& [key, allocation] : allocator.allocations()) {
    ReportValue::List addresses;
    for (const Cidr& address : allocation.addresses) addresses.push_back(ReportValue::String(address.ToString()));
    owned.push_back(
        ReportValue::MakeStruct({{"containerid", ReportValue::String(std::string(ContainerOf(allocation.ident)))},
                                 {"addrs", ReportValue::MakeList(std::move(addresses))}}));
  }
  return absl::StrCat(ReportValue::MakeStruct({{"owned", ReportValue::ListOrNull(std::move(owned))}}).ToJson(), "\n");
}

void AddAddresses(HttpRouter& router, const IpamPtr& ipam) {
  router.Add("POST", "/ip/{id}",
             [ipam](HttpCall call) { Allocate(ipam, std::move(call), ipam->allocator().config().default_subnet); });
  router.Add("POST", "/ip/{id}/{ip}/{prefixlen}", [ipam](HttpCall call) {
    const absl::StatusOr<Cidr> subnet = CidrOf(call);
    if (!subnet.ok()) return call.reply.Send(BadRequest(subnet.status().message()));
    Allocate(ipam, std::move(call), *subnet);
  });
  router.Add("PUT", "/ip/{id}/{ip}/{prefixlen}", [ipam](HttpCall call) { Claim(ipam, std::move(call)); });
  router.Add("GET", "/ip/{id}",
             [ipam](HttpCall call) { Lookup(ipam, std::move(call), ipam->allocator().config().default_subnet); });
  router.Add("GET", "/ip/{id}/{ip}/{prefixlen}", [ipam](HttpCall call) {
    const absl::StatusOr<Cidr> subnet = CidrOf(call);
    if (!subnet.ok()) return call.reply.Send(BadRequest(subnet.status().message()));
    Lookup(ipam, std::move(call), *subnet);
  });
  router.Add("DELETE", "/ip/{id}/{ip}", [ipam](HttpCall call) { Free(ipam, std::move(call)); });
  router.Add("DELETE", "/ip/{id}", [ipam](HttpCall call) { Delete(ipam, std::move(call)); });
  router.Add("GET", "/ip", [ipam](HttpCall call) {
    ipam->loop().Post([ipam, reply = std::move(call.reply)]() mutable {
      reply.Send({200, "application/json", AllocationsJson(ipam->allocator())});
    });
  });
}

void AddRing(HttpRouter& router, const IpamPtr& ipam) {
  router.Add("GET", "/ring", [ipam](HttpCall call) {
    ipam->Ask({AwaitRingOperation{},
               [](const Reply& reply) { return reply.status.ok() ? Text("") : BadRequest(reply.status.message()); }},
              std::move(call.reply));
  });
  router.Add("GET", "/ipinfo/defaultsubnet",
             [ipam](HttpCall call) { call.reply.Send(Text(ipam->allocator().config().default_subnet.ToString())); });
  // Nothing keeps track of local ranges in this build.
  router.Add("GET", "/ipinfo/tracker", [](HttpCall call) { call.reply.Send(Text("\n")); });
  router.Add("DELETE", "/peer", [ipam](HttpCall call) {
    ipam->Ask({ShutdownOperation{},
               [](const Reply& reply) { return reply.status.ok() ? Done() : BadRequest(reply.status.message()); }},
              std::move(call.reply));
  });
  router.Add("DELETE", "/peer/{id}", [ipam](HttpCall call) {
    const std::string peer = call.Param("id");
    const absl::StatusOr<HttpForm> form = ParseForm(call.request);
    if (!form.ok()) return call.reply.Send(BadRequest(form.status().message()));
    ipam->Ask({TakeOverOperation{peer, form->First("force") == "true"},
               [peer](const Reply& reply) {
                 if (!reply.status.ok()) return BadRequest(reply.status.message());
                 return Text(absl::StrCat(absl::Uint128Low64(reply.taken_over), " IPs taken over from ", peer, "\n"));
               }},
              std::move(call.reply));
  });
}

}  // namespace

void AddIpam(HttpRouter& router, EventLoop& loop, CoreDriver& driver, const IpamHttpHooks& hooks) {
  if (hooks.allocator == nullptr) {
    router.Add("DELETE", "/peer", [](HttpCall call) { call.reply.Send(Done()); });
    router.Add("DELETE", "/peer/{id}", [](HttpCall call) { call.reply.Send(Text("")); });
    return;
  }
  const auto ipam = std::make_shared<const Ipam>(loop, driver, hooks);
  AddAddresses(router, ipam);
  AddRing(router, ipam);
}

}  // namespace weave
