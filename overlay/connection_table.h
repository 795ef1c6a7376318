// The connections of a sub-overlay, and when each of them wants to be called.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "base/time.h"
#include "mesh/overlay.h"

namespace weave {

// `Connection` has NextDeadline(), which only what is done through With() changes.
template <typename Connection>
class ConnectionTable {
 public:
  // In the place of one with this id, which there should not be.
  void Add(ConnectionId id, std::unique_ptr<Connection> connection) {
    Take(id);
    entries_.emplace(id, Entry{std::move(connection), std::nullopt});
  }

  // Null: there is none.
  const Connection* Find(ConnectionId id) const {
    const auto entry = entries_.find(id);
    return entry == entries_.end() ? nullptr : entry->second.connection.get();
  }

  // Calls `call` with the connection; nothing if there is none.
  template <typename Call>
  void With(ConnectionId id, Call call) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return;
    call(*entry->second.connection);
    Schedule(id, entry->second);
  }
  template <typename Call>
  void WithAll(Call call) {
    for (auto& [id, entry] : entries_) {
      call(*entry.connection);
      Schedule(id, entry);
    }
  }
  // Each whose time has come, once.
  template <typename Call>
  void WithDue(MonotonicTime now, Call call) {
    std::vector<ConnectionId> due;
    for (const auto& [deadline, id] : deadlines_) {
      if (deadline > now) break;
      due.push_back(id);
    }
    for (const ConnectionId id : due) With(id, call);
  }

  // The one taken out; null: there was none.
  std::unique_ptr<Connection> Take(ConnectionId id) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return nullptr;
    if (entry->second.deadline.has_value()) deadlines_.erase({*entry->second.deadline, id});
    std::unique_ptr<Connection> connection = std::move(entry->second.connection);
    entries_.erase(entry);
    return connection;
  }

  std::optional<MonotonicTime> NextDeadline() const {
    if (deadlines_.empty()) return std::nullopt;
    return deadlines_.begin()->first;
  }

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    std::optional<MonotonicTime> deadline;  // as in deadlines_
  };

  void Schedule(ConnectionId id, Entry& entry) {
    const std::optional<MonotonicTime> deadline = entry.connection->NextDeadline();
    if (deadline == entry.deadline) return;
    if (entry.deadline.has_value()) deadlines_.erase({*entry.deadline, id});
    if (deadline.has_value()) deadlines_.insert({*deadline, id});
    entry.deadline = deadline;
  }

  absl::btree_map<ConnectionId, Entry> entries_;
  absl::btree_set<std::pair<MonotonicTime, ConnectionId>> deadlines_;
};

}  // namespace weave
