#include "host/link_remover.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "host/endpoint.h"
#include "host/netlink.h"

namespace weave {
namespace {

// So many wait for one grace period together.
constexpr int kRemovalThreads = 8;

absl::Status RemoveHostEnd(int link_index, const std::string& name) {
  ASSIGN_OR_RETURN(Netlink netlink, Netlink::Open());
  ASSIGN_OR_RETURN(const std::optional<LinkInfo> link, netlink.FindLink(link_index));
  if (!link || link->name != name || !IsHostEnd(*link))
    return absl::NotFoundError(
        absl::StrCat("no container's interface is called \"", name, "\" and has index ", link_index));
  return netlink.DeleteLink(link_index);
}

}  // namespace

LinkRemover::LinkRemover(EventLoop& loop) : loop_(loop), workers_("remove", kRemovalThreads) {}

LinkRemover::~LinkRemover() { alive_.reset(); }

void LinkRemover::Remove(int link_index, std::string name, Done done) {
  std::vector<Done>& waiting = waiting_[link_index];
  waiting.push_back(std::move(done));
  if (waiting.size() > 1) return;  // it is on its way
  workers_.Submit([this, link_index, name = std::move(name), alive = std::weak_ptr<Alive>(alive_)] {
    const absl::Status removed = RemoveHostEnd(link_index, name);
    loop_.Post([this, link_index, removed, alive] {
      if (!alive.expired()) Answer(link_index, removed);
    });
  });
}

void LinkRemover::OnGone(int link_index) { Answer(link_index, absl::OkStatus()); }

void LinkRemover::Answer(int link_index, const absl::Status& status) {
  const auto found = waiting_.find(link_index);
  if (found == waiting_.end()) return;  // answered already
  std::vector<Done> waiting = std::move(found->second);
  waiting_.erase(found);
  for (Done& done : waiting) done(status);
}

}  // namespace weave
