#include "base/attachment.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace weave {
namespace {

bool IsAlphanumeric(char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)); }

}  // namespace

std::string NetworkAttachment::ToString() const {
  return absl::StrCat(container_id, std::string(1, kAttachmentMark), network, "/", interface);
}

std::optional<NetworkAttachment> NetworkAttachment::Parse(absl::string_view text) {
  const std::size_t at = text.find(kAttachmentMark);
  const std::size_t slash = text.find('/');
  if (at == absl::string_view::npos || slash == absl::string_view::npos || slash < at) return std::nullopt;
  const absl::string_view container_id = text.substr(0, at);
  const absl::string_view network = text.substr(at + 1, slash - at - 1);
  const absl::string_view interface = text.substr(slash + 1);
  if (!IsCniName(container_id) || (!network.empty() && !IsCniName(network)) || interface.empty()) return std::nullopt;
  return NetworkAttachment{std::string(container_id), std::string(network), std::string(interface)};
}

bool IsCniName(absl::string_view text) {
  return !text.empty() && IsAlphanumeric(text.front()) && std::all_of(text.begin(), text.end(), [](char c) {
    return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-';
  });
}

absl::string_view ContainerOf(absl::string_view holder) {
  return NetworkAttachment::Parse(holder) ? holder.substr(0, holder.find(kAttachmentMark)) : holder;
}

}  // namespace weave
