// Finds damage inside a -wal that SQLite would take for the torn end of a crash. Private to the record store.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace weave {

// SQLite plays a -wal up to the first frame that does not fit and forgets the rest without a word, which is right after
// a power cut in the middle of a commit and wrong when a bit flipped: acknowledged commits would be gone. Each commit
// is on disk before the next is begun, so a later transaction behind the misfit proves damage. DataLoss then; OK for an
// intact, torn or absent log. Damage to the very last transaction cannot be told from a torn one.
//
// Holds because every opening of the store empties the log: all frames with the header's salts are of one process's
// life.
absl::Status CheckWal(const std::string& path);

}  // namespace weave
