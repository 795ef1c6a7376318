// Small files: read whole, replaced whole, removed; directories made. Every error names the path.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weave {

// The whole file, which may be one of /proc or /sys. More than `max_size` bytes is ResourceExhausted.
absl::StatusOr<std::string> ReadSmallFile(absl::string_view path, std::size_t max_size = 1 << 20);

// A reader sees the old content or all of the new one, also after a power cut: a temporary file in the same directory,
// synced, renamed over `path`, the directory synced. `mode` is what a new file gets, whatever the umask. On failure
// `path` is as it was and the temporary file is gone.
absl::Status WriteFileAtomically(absl::string_view path, absl::string_view content, mode_t mode = 0600);

// A symbolic link at `path` that leads to `target`, in the place of a file or another link; the same one stays as it
// is. Whoever looks sees the old one or the new one.
absl::Status ReplaceLinkAtomically(absl::string_view path, absl::string_view target);

// Makes the directory and its missing parents with `mode`; existing ones keep theirs. Something else in the way is
// FailedPrecondition.
absl::Status EnsureDirectory(absl::string_view path, mode_t mode = 0755);

// OK when there was nothing to remove. Not for directories.
absl::Status RemoveIfExists(absl::string_view path);

// Makes names created, renamed or removed in the directory survive a power cut.
absl::Status SyncDirectory(absl::string_view path);

// What precedes the last slash: "." for a bare name, "/" for a file of the root.
std::string DirectoryOf(absl::string_view path);

}  // namespace weave
