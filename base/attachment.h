// The name of one CNI attachment: which interface of which container, in which network. Its address is held under that
// name, and the host's end of its interface is labelled with it, so that the plugins need no state of their own.
#pragma once

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace weave {

// `web@weave/eth0`. No container id has an `@`, no network name a slash: nobody else's holder looks like this, and the
// attachments of a container begin with its id, by which people and programs ask for them (contract A6, `/ip/ID`).
struct NetworkAttachment {
  std::string container_id;
  std::string network;  // empty: the configuration names none
  std::string interface;

  std::string ToString() const;

  // nullopt: some other holder.
  static std::optional<NetworkAttachment> Parse(absl::string_view text);

  friend bool operator==(const NetworkAttachment&, const NetworkAttachment&) = default;
};

// The holder that those name who do not know whose an address will be: its own text then stands for the holder
// (spec/ipam.md section 7).
inline constexpr char kUnknownHolder[] = "_";

// Follows the container's id in an attachment's name.
inline constexpr char kAttachmentMark = '@';

// What CNI calls containers and networks: a letter or digit, then letters, digits, `_`, `.` and `-`.
bool IsCniName(absl::string_view text);

// The attachment's container, or the whole name of any other holder.
absl::string_view ContainerOf(absl::string_view holder);

}  // namespace weave
