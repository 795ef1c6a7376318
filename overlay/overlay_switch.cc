#include "overlay/overlay_switch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "wire/messages.h"

namespace weave {
namespace {

constexpr std::size_t kMaxWayCount = 256;  // the forwarder index is one byte

constexpr std::uint8_t kSelectedTag = static_cast<std::uint8_t>(MessageTag::kOverlayControl);

bool IsCompatibilityTag(std::uint8_t tag) {
  return tag >= static_cast<std::uint8_t>(MessageTag::kSleeveEstablished) &&
         tag <= static_cast<std::uint8_t>(MessageTag::kSleeveMtuVerified);
}

}  // namespace

OverlaySwitch::OverlaySwitch(std::vector<SubOverlay*> overlays, SubOverlay* compatibility, Logger& logger)
    : overlays_(std::move(overlays)), compatibility_(compatibility), logger_(logger) {
  CHECK(overlays_.size() < kMaxWayCount) << overlays_.size();
  CHECK(compatibility_ == nullptr || std::find(overlays_.begin(), overlays_.end(), compatibility_) != overlays_.end());
}

std::string OverlaySwitch::Names() const {
  return absl::StrJoin(overlays_, " ",
                       [](std::string* out, const SubOverlay* overlay) { absl::StrAppend(out, overlay->name()); });
}

// In our order: what both ends prefer alike gets the same index on both (spec/overlay.md section 1).
std::vector<OverlaySwitch::CommonWay> OverlaySwitch::CommonWays(const OverlayConnection& connection) const {
  std::vector<CommonWay> ways;
  if (!connection.remote_overlays.has_value()) {
    if (compatibility_ != nullptr) ways.push_back({.overlay = compatibility_, .failure = ""});
    return ways;
  }
  const std::vector<absl::string_view> theirs = absl::StrSplit(*connection.remote_overlays, ' ');
  for (SubOverlay* overlay : overlays_) {
    if (std::find(theirs.begin(), theirs.end(), overlay->name()) != theirs.end())
      ways.push_back({.overlay = overlay, .failure = ""});
  }
  return ways;
}

absl::Status OverlaySwitch::Prepare(Now now, const OverlayConnection& connection) {
  CHECK(!connections_.contains(connection.connection)) << connection.connection;
  Switched entry;
  entry.remote = connection.remote;
  entry.compatibility = !connection.remote_overlays.has_value();
  entry.ways = CommonWays(connection);
  if (entry.ways.empty()) {
    return absl::FailedPreconditionError(absl::StrCat("no overlays in common with peer: we have \"", Names(),
                                                      "\", it has \"", connection.remote_overlays.value_or("sleeve"),
                                                      "\""));
  }
  bool any = false;
  for (CommonWay& way : entry.ways) {
    const absl::Status prepared = way.overlay->Prepare(now, connection);
    way.working = prepared.ok();
    way.failure = std::string(prepared.message());
    any = any || way.working;
    if (!way.working)
      logger_.Info(
          "overlay cannot be used for this connection",
          {{"peer", connection.remote.ToString()}, {"overlay", way.overlay->name()}, {"reason", prepared.message()}});
  }
  if (!any) return NoWayLeft(entry);
  ++generation_;
  Switched& kept = connections_.emplace(connection.connection, std::move(entry)).first->second;
  const auto first = std::find_if(kept.ways.begin(), kept.ways.end(), [](const CommonWay& way) { return way.working; });
  kept.best = static_cast<std::size_t>(std::distance(kept.ways.begin(), first));
  return absl::OkStatus();
}

void OverlaySwitch::Confirm(Now now, ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  ++generation_;  // the mesh prefers it from now on
  for (const CommonWay& way : found->second.ways) {
    if (way.working) way.overlay->Confirm(now, connection);
  }
}

absl::Status OverlaySwitch::OnControl(Now now, ConnectionId connection, ByteView message) {
  const auto found = connections_.find(connection);
  if (found == connections_.end())
    return absl::FailedPreconditionError("overlay control message on a connection that has no overlay");
  if (message.empty()) return absl::InvalidArgumentError("overlay control message: empty");
  Switched& entry = found->second;
  const std::uint8_t tag = message[0];
  if (entry.compatibility) {
    const CommonWay& way = entry.ways.front();
    if (IsCompatibilityTag(tag) && way.working) way.overlay->OnControl(now, connection, tag, message.subspan(1));
    return absl::OkStatus();  // like any unknown tag of an overlay
  }
  if (tag != kSelectedTag) {
    return absl::InvalidArgumentError(absl::StrCat("overlay control message: protocol tag ", tag,
                                                   " on a connection with overlay selection, want ", kSelectedTag));
  }
  if (message.size() < 3) {
    return absl::InvalidArgumentError(
        absl::StrCat("overlay control message: ", message.size(), " bytes, want at least tag, overlay index and tag"));
  }
  const std::size_t index = message[1];
  if (index >= entry.ways.size()) {
    return absl::InvalidArgumentError(absl::StrCat("overlay control message: overlay index ", index, ", there are ",
                                                   entry.ways.size(), " overlays in common"));
  }
  const CommonWay& way = entry.ways[index];
  if (way.working) way.overlay->OnControl(now, connection, message[2], message.subspan(3));
  return absl::OkStatus();
}

void OverlaySwitch::Stop(Now now, ConnectionId connection) {
  const auto found = connections_.find(connection);
  if (found == connections_.end()) return;
  for (const CommonWay& way : found->second.ways) {
    if (way.working) way.overlay->Stop(now, connection);
  }
  connections_.erase(found);
  ++generation_;
}

OverlayStatus OverlaySwitch::Status(ConnectionId connection) const {
  const auto found = connections_.find(connection);
  if (found == connections_.end() || !found->second.best.has_value()) return {};
  const SubOverlay* overlay = found->second.ways[*found->second.best].overlay;
  return {std::string(overlay->name()), overlay->Attributes(connection)};
}

std::optional<MonotonicTime> OverlaySwitch::NextDeadline() const {
  std::optional<MonotonicTime> next;
  for (const SubOverlay* overlay : overlays_) next = Earliest({next, overlay->NextDeadline()});
  return next;
}

void OverlaySwitch::OnTimer(Now now) {
  for (SubOverlay* overlay : overlays_) overlay->OnTimer(now);
}

std::vector<OverlayEvent> OverlaySwitch::TakeEvents(Now now) {
  std::vector<OverlayEvent> out;
  for (SubOverlay* overlay : overlays_)
    for (SubOverlayEvent& event : overlay->TakeEvents()) OnSubEvent(now, *overlay, std::move(event), out);
  return out;
}

std::vector<ForwardingHop> OverlaySwitch::Hops() const {
  std::vector<ForwardingHop> hops;
  hops.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) {
    ForwardingHop& hop = hops.emplace_back(ForwardingHop{connection.remote, id, {}});
    if (!connection.best.has_value()) continue;
    hop.ways.push_back(connection.ways[*connection.best].overlay->way());
    for (std::size_t i = 0; i < connection.ways.size(); ++i) {
      const CommonWay& way = connection.ways[i];
      if (i != *connection.best && way.working && way.healthy && way.established)
        hop.ways.push_back(way.overlay->way());
    }
  }
  return hops;
}

void OverlaySwitch::OnSubEvent(Now now, SubOverlay& overlay, SubOverlayEvent event, std::vector<OverlayEvent>& out) {
  const auto found = connections_.find(event.connection);
  if (found == connections_.end()) return;  // stopped in the same turn
  Switched& entry = found->second;
  const auto way = std::find_if(entry.ways.begin(), entry.ways.end(),
                                [&](const CommonWay& candidate) { return candidate.overlay == &overlay; });
  CHECK(way != entry.ways.end()) << overlay.name();
  if (!way->working) return;

  if (const auto* control = std::get_if<SubOverlayControl>(&event.what)) {
    Bytes message;
    message.reserve(control->data.size() + 3);
    if (!entry.compatibility) {
      message.push_back(kSelectedTag);
      message.push_back(static_cast<std::uint8_t>(std::distance(entry.ways.begin(), way)));
    }
    message.push_back(control->tag);
    message.insert(message.end(), control->data.begin(), control->data.end());
    out.emplace_back(OverlayControl{event.connection, std::move(message)});
    return;
  }
  ++generation_;
  if (std::holds_alternative<SubOverlayEstablished>(event.what)) {
    way->established = true;
  } else if (const auto* health = std::get_if<SubOverlayHealth>(&event.what)) {
    way->healthy = health->healthy;
  } else if (const auto* failed = std::get_if<SubOverlayFailed>(&event.what)) {
    logger_.Warning(
        "overlay given up for this connection",
        {{"peer", entry.remote.ToString()}, {"overlay", overlay.name()}, {"reason", failed->status.message()}});
    way->working = false;
    way->failure = std::string(failed->status.message());
    overlay.Stop(now, event.connection);
  }
  // The choice first: whoever hears of "established" asks for the status.
  ChooseBest(event.connection, entry, out);
  if (way->established && way->working && !entry.established) {
    entry.established = true;
    out.emplace_back(OverlayEstablished{event.connection});
  }
}

void OverlaySwitch::ChooseBest(ConnectionId id, Switched& connection, std::vector<OverlayEvent>& out) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < connection.ways.size(); ++i) {
    const CommonWay& way = connection.ways[i];
    if (!way.working || !way.healthy) continue;
    if (!best.has_value()) best = i;
    if (way.established) {
      best = i;
      break;
    }
  }
  if (!best.has_value()) {
    connection.best.reset();
    if (!std::exchange(connection.failed, true)) out.emplace_back(OverlayFailed{id, NoWayLeft(connection)});
    return;
  }
  if (best == connection.best) return;
  // Changes of a path that carried frames are what people look for afterwards (contract A7-07).
  const LogLevel level = connection.established ? LogLevel::kWarning : LogLevel::kInfo;
  logger_.Log(level, "overlay changed",
              {{"peer", connection.remote.ToString()},
               {"from", connection.best.has_value() ? connection.ways[*connection.best].overlay->name() : "none"},
               {"to", connection.ways[*best].overlay->name()}});
  connection.best = best;
}

absl::Status OverlaySwitch::NoWayLeft(const Switched& connection) const {
  std::vector<std::string> reasons;
  reasons.reserve(connection.ways.size());
  for (const CommonWay& way : connection.ways)
    reasons.push_back(absl::StrCat(way.overlay->name(), " ", way.working ? "hears nothing" : way.failure));
  return absl::UnavailableError(
      absl::StrCat("no working forwarders to ", connection.remote.ToString(), ": ", absl::StrJoin(reasons, "; ")));
}

}  // namespace weave
