#include "host/docker_api.h"

#include "test/host/fake_docker.h"
#include "test/support/catch.h"

namespace weave {
namespace {

TEST_CASE("A container's description is read", "[host][docker]") {
  const DockerContainer container = ParseContainerJson(ContainerJson(4242)).value();
  CHECK(container.id == std::string(64, 'c'));
  CHECK(container.name == "web");
  CHECK(container.running);
  CHECK(container.pid == 4242);
  CHECK(container.network_mode == "default");
}

TEST_CASE("What else a container's description says does not matter", "[host][docker]") {
  const std::string good = ContainerJson(4242);
  for (const std::string& more :
       {std::string("\"Id\":[\"decoy\"]"), std::string("\"State/Pid\":1"), std::string("\"Pid\":1,\"Running\":false"),
        std::string("\"Mounts\":[{\"Id\":\"decoy\",\"State\":{\"Pid\":7}},-1,1e300,null,\"\\u00e9\"]"),
        "\"Deep\":" + std::string(60, '[') + std::string(60, ']')}) {
    INFO(more);
    for (const std::string& text :
         {"{" + more + "," + good.substr(1), good.substr(0, good.size() - 1) + "," + more + "}"}) {
      const absl::StatusOr<DockerContainer> container = ParseContainerJson(text);
      INFO(container.status());
      REQUIRE(container.ok());
      CHECK(container->id == std::string(64, 'c'));
      CHECK(container->running);
      CHECK(container->pid == 4242);
    }
  }
}

TEST_CASE("A description that cannot be one is refused, however deep it nests", "[host][docker]") {
  const std::string good = ContainerJson(4242);
  for (std::size_t size = 0; size < good.size(); ++size) CHECK_FALSE(ParseContainerJson(good.substr(0, size)).ok());
  const std::vector<std::pair<std::string, std::string>> changes = {
      {"4242", "\"4242\""},  {"4242", "-1"},    {"4242", "0"},          {"4242", "1e3"}, {"4242", "99999999999"},
      {"4242", "{}"},        {"true", "1"},     {"cccc", "CCCC"},       {"cccc", "ccc"}, {"\"/web\"", "null"},
      {"\"default\"", "[]"}, {"4242", "1e999"}, {"4242", "2147483648"},
  };
  for (const auto& [from, to] : changes) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseContainerJson(text).status()));
  }
  std::string open, close;
  for (int i = 0; i < 100'000; ++i) {
    open += "{\"State\":";
    close += "}";
  }
  for (const std::string& deep :
       {open, open + "1" + close, std::string(1'000'000, '['), std::string(100'000, '[') + std::string(100'000, ']')}) {
    const absl::Status status = ParseContainerJson(deep).status();
    CHECK(status == absl::InvalidArgumentError("container description: nested deeper than 64"));
  }
  for (const char* text : {"", "null", "1", "\"Id\"", "[]", "{}", "{} {}", "NaN", "[NaN]", "/* */ {}"}) {
    INFO(text);
    CHECK(absl::IsInvalidArgument(ParseContainerJson(text).status()));
  }
  CHECK(absl::IsInvalidArgument(ParseContainerJson(std::string("{\"Id\":\"\xff\xfe\"}")).status()));
}

}  // namespace
}  // namespace weave
