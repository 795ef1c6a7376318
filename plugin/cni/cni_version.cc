#include "plugin/cni/cni_version.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "plugin/cni/cni_error.h"

namespace weave {
namespace {

constexpr CniVersion kAll[] = {CniVersion::k010, CniVersion::k020, CniVersion::k030, CniVersion::k031,
                               CniVersion::k040, CniVersion::k100, CniVersion::k110};
constexpr absl::string_view kTexts[] = {"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};

}  // namespace

absl::Span<const CniVersion> AllCniVersions() { return kAll; }

absl::string_view ToString(CniVersion version) { return kTexts[static_cast<int>(version)]; }

absl::StatusOr<CniVersion> ParseCniVersion(absl::string_view text) {
  if (text.empty()) return CniVersion::k010;
  for (const CniVersion version : kAll)
    if (ToString(version) == text) return version;
  // To the letter: spec/control.md section 8.7.
  return CniFailure(
      CniCode::kIncompatibleVersion, "incompatible CNI versions",
      absl::StrCat("config is \"", text, "\", plugin supports [\"", absl::StrJoin(kTexts, "\" \""), "\"]"));
}

}  // namespace weave
