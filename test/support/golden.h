// The recorded bytes of test/golden/vectors (spec/vectors/README.md) as JSON. For tests that link weave_deps::json.
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "test/support/catch.h"

namespace weave {

// `name` without `.json`. A missing file fails the test.
template <typename Json = nlohmann::json>
Json ReadGolden(const std::string& name) {
  std::ifstream file(WEAVE_SOURCE_DIR "/test/golden/vectors/" + name + ".json");
  INFO(name);
  REQUIRE(file.is_open());
  return Json::parse(file);
}

}  // namespace weave
