// The flags of `weaver`, one row each: what the parser, the help text and the tests know about a flag.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "peer/flags.h"

namespace weave {

// Parts of Weave Net that this build may lack. A part that arrives turns its rows to kPresent.
enum class Feature {
  kPresent,
  kDiscoveryService,
  kIpam,
  kProxy,
  kPolicy,
  kAwsVpc,
  kProfile,
};

// What people call it: "address allocation".
absl::string_view FeatureName(Feature feature);

struct FlagSpec {
  const char* group;
  const char* name;          // without dashes; one letter is typed with one dash, others with two
  const char* hint;          // what stands for the value in the help; null: a boolean, whose value may be left out
  const char* default_text;  // equal to the default in WeaverOptions
  const char* help;
  Feature feature;
  const char* variable;  // environment variable that stands in when the flag is not given; null: none

  // Checks `text` and stores it. InvalidArgument without the flag's name.
  absl::Status (*set)(absl::string_view text, WeaverOptions& options);

  // Does `options` ask for anything that `defaults` do not?
  bool (*asks)(const WeaverOptions& options, const WeaverOptions& defaults);
};

// In the order of the help; rows of a group stand together.
absl::Span<const FlagSpec> FlagTable();

}  // namespace weave
