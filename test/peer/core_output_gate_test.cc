#include "peer/core/output_gate.h"

#include "test/support/catch.h"

namespace weave {
namespace {

PeerOutput Answer(RequestId id) {
  PeerOutput output;
  output.replies.push_back({id, absl::OkStatus(), {}});
  return output;
}

PeerOutput RecordedAnswer(RequestId id, std::string key) {
  PeerOutput output = Answer(id);
  output.persist.push_back({std::move(key), std::nullopt});
  return output;
}

PeerOutput Tidy(std::string key) {
  PeerOutput output;
  output.tidy.push_back({std::move(key), std::nullopt});
  return output;
}

RequestId PopAnswer(OutputGate& gate) {
  const auto released = gate.Pop();
  return released.has_value() && !released->output.replies.empty() ? released->output.replies[0].request : 0;
}

TEST_CASE("Nothing leaves before its records are durable", "[core]") {
  OutputGate gate;
  const auto write = gate.Push(RecordedAnswer(1, "a"));
  REQUIRE(write.has_value());
  CHECK(write->changes[0].key == "a");
  CHECK_FALSE(gate.Pop().has_value());
  gate.OnDurable(write->sequence, absl::OkStatus());
  CHECK(PopAnswer(gate) == 1);
  CHECK_FALSE(gate.Pop().has_value());
}

TEST_CASE("Outputs leave in the order they came", "[core]") {
  OutputGate gate;
  const auto first = gate.Push(RecordedAnswer(1, "a"));
  CHECK_FALSE(gate.Push(Answer(2)).has_value());
  const auto third = gate.Push(RecordedAnswer(3, "c"));
  CHECK_FALSE(gate.Pop().has_value());
  gate.OnDurable(first->sequence, absl::OkStatus());
  CHECK(PopAnswer(gate) == 1);
  CHECK(PopAnswer(gate) == 2);
  CHECK_FALSE(gate.Pop().has_value());
  gate.OnDurable(third->sequence, absl::OkStatus());
  CHECK(PopAnswer(gate) == 3);
}

TEST_CASE("What failed is handed back in its place", "[core]") {
  OutputGate gate;
  const auto first = gate.Push(RecordedAnswer(1, "a"));
  gate.Push(Answer(2));
  gate.OnDurable(first->sequence, absl::ResourceExhaustedError("disk full"));
  const auto released = gate.Pop();
  REQUIRE(released.has_value());
  CHECK(released->status.message() == "disk full");
  CHECK(released->output.persist[0].key == "a");
  CHECK(PopAnswer(gate) == 2);
}

TEST_CASE("Nothing waits for what is tidied, but its failure is reported", "[core]") {
  OutputGate gate;
  const auto write = gate.Push(Tidy("a"));
  REQUIRE(write.has_value());
  CHECK_FALSE(gate.Pop().has_value());
  gate.Push(Answer(2));
  CHECK(PopAnswer(gate) == 2);
  gate.OnDurable(write->sequence, absl::ResourceExhaustedError("disk full"));
  const auto released = gate.Pop();
  REQUIRE(released.has_value());
  CHECK_FALSE(released->status.ok());
  CHECK(released->output.tidy[0].key == "a");
}

TEST_CASE("Where an output tidies and records one key, the record stays", "[core]") {
  OutputGate gate;
  PeerOutput output = RecordedAnswer(1, "a");
  output.persist[0].value = IdentityRecord{PeerName(1)};
  output.tidy.push_back({"a", std::nullopt});
  const auto write = gate.Push(std::move(output));
  REQUIRE(write->changes.size() == 2);
  CHECK(write->changes.back().value.has_value());
}

TEST_CASE("An empty output is nothing", "[core]") {
  OutputGate gate;
  CHECK_FALSE(gate.Push({}).has_value());
  CHECK_FALSE(gate.Pop().has_value());
}

}  // namespace
}  // namespace weave
