// The versions of the CNI specification that the plugins speak, and what changed between them.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace weave {

enum class CniVersion { k010, k020, k030, k031, k040, k100, k110 };

inline constexpr CniVersion kNewestCniVersion = CniVersion::k110;

// "0.3.1"
absl::string_view ToString(CniVersion version);

// Empty text is 0.1.0, which had no member for it. Others than ours: code 1, naming ours.
absl::StatusOr<CniVersion> ParseCniVersion(absl::string_view text);

// All of them, oldest first.
absl::Span<const CniVersion> AllCniVersions();

// Results name interfaces and any number of addresses; before, one address of each family.
constexpr bool ListsInterfaces(CniVersion version) { return version >= CniVersion::k030; }
// An address says of which family it is.
constexpr bool NamesIpVersion(CniVersion version) { return version >= CniVersion::k030 && version < CniVersion::k100; }
constexpr bool HasCheck(CniVersion version) { return version >= CniVersion::k040; }
// GC and STATUS; interfaces and routes have an MTU.
constexpr bool HasGc(CniVersion version) { return version >= CniVersion::k110; }

}  // namespace weave
