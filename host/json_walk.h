// Reading a few values out of a JSON document of a program that is not ours, without keeping the document.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace weave {

// Where a value stands: the keys from the outermost object inwards; an array adds "" for each of its elements.
using JsonPath = std::vector<std::string>;
// null, a boolean, a whole number that is not negative, or a string; other numbers are left out.
using JsonScalar = std::variant<std::monostate, bool, std::uint64_t, std::string>;

// Does `path` consist of these keys? "*" stands for any one.
bool PathIs(const JsonPath& path, std::initializer_list<absl::string_view> keys);

// Calls `visit` for each scalar of the document, in its order. Documents nest 64 deep at most. InvalidArgument: it is
// no JSON, and where; `visit` has been called for what came before.
absl::Status WalkJson(absl::string_view json,
                      const std::function<void(const JsonPath& path, const JsonScalar& value)>& visit);

}  // namespace weave
