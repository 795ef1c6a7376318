#include "base/peer_name.h"

#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace weave {
namespace {

struct Vector {
  std::string input;
  std::optional<std::string> name;  // absent: refused
};

// The file is machine-made: `"input": "..."` and `"name": "..."` or `"name": null` on lines of their own, no escapes.
std::vector<Vector> ReadVectors() {
  std::ifstream file(WEAVE_SOURCE_DIR "/test/golden/vectors/peer_names.json");
  REQUIRE(file.is_open());
  const auto value = [](const std::string& line) -> std::optional<std::string> {
    const std::size_t colon = line.find("\": ") + 3;
    if (line.compare(colon, 4, "null") == 0) return std::nullopt;
    const std::size_t start = line.find('"', colon) + 1;
    return line.substr(start, line.rfind('"') - start);
  };
  std::vector<Vector> vectors;
  for (std::string line; std::getline(file, line);) {
    if (line.find("\"input\"") != std::string::npos) vectors.push_back({*value(line), std::nullopt});
    if (line.find("\"name\"") != std::string::npos) vectors.back().name = value(line);
  }
  return vectors;
}

// The reference peer takes these; ours does not: name 0 means the unknown peer (spec/mesh.md section 10), and a blank
// within a name is an accident of the scanner it used.
bool RefusedOnPurpose(const std::string& input) { return input == "::0" || input == "1: 2:3:4:5:6"; }

TEST_CASE("Peer names are read as the reference peer reads them", "[base][golden]") {
  const std::vector<Vector> vectors = ReadVectors();
  REQUIRE(vectors.size() >= 25);
  for (const Vector& vector : vectors) {
    CAPTURE(vector.input);
    const absl::StatusOr<PeerName> name = PeerName::Parse(vector.input);
    REQUIRE(name.ok() == (vector.name.has_value() && !RefusedOnPurpose(vector.input)));
    if (name.ok())
      CHECK(name->ToString() == *vector.name);
    else
      CHECK(std::string(name.status().message()).find("\"" + vector.input + "\"") != std::string::npos);
  }
}

TEST_CASE("A peer name is its MAC address as a number", "[base]") {
  const MacAddress mac = MacAddress::Parse("02:0a:ff:00:10:9b").value();
  const PeerName name = PeerName::FromMac(mac);
  CHECK(name.value() == 0x020aff00109b);
  CHECK(name.ToMac() == mac);
  CHECK(PeerName(0xffff'020a'ff00'109b) == name);
}

TEST_CASE("The zero name means nobody", "[base]") {
  CHECK_FALSE(PeerName().known());
  CHECK(PeerName(1).known());
  CHECK(PeerName::Parse("00:00:00:00:00:00").status().code() == absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace weave
