// Looking up names without waiting on the loop. A hosts file of the test's own is in net_root_test.cc.
#include "io/resolver.h"

#include <latch>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "test/io/transport_world.h"
#include "test/support/catch.h"

namespace weave {
namespace {

struct World {
  // The answer as text: addresses separated by blanks, or the code of the error and its text.
  std::uint64_t Ask(absl::string_view host) {
    return resolver->Resolve(host, [this](absl::StatusOr<std::vector<IpAddress>> result) {
      CHECK_FALSE(in_call);
      CHECK(loop.OnLoopThread());
      std::string text;
      if (result.ok()) {
        for (const IpAddress& ip : *result) absl::StrAppend(&text, text.empty() ? "" : " ", ip.ToString());
      } else {
        text = absl::StrCat(absl::StatusCodeToString(result.status().code()), ": ", result.status().message());
      }
      answers.push_back(std::move(text));
    });
  }
  std::string Answer(absl::string_view host) {
    answers.clear();
    in_call = true;
    Ask(host);
    in_call = false;
    RunUntil(loop, [&] { return !answers.empty(); });
    return answers.at(0);
  }

  EventLoop loop;
  WorkerPool pool{"resolve", 1};
  std::unique_ptr<Resolver> resolver = std::make_unique<Resolver>(loop, pool);
  std::vector<std::string> answers;
  bool in_call = false;
};

TEST_CASE("An address is its own answer, without a worker and not from within the call", "[io][resolver]") {
  World world;
  for (const char* text : {"10.2.1.1", "0.0.0.0", "::1", "fd00::2"}) CHECK(world.Answer(text) == text);
  CHECK(world.pool.started_count() == 0);
}

TEST_CASE("The name of this host's loopback is found, IPv4 first", "[io][resolver]") {
  World world;
  const std::string answer = world.Answer("localhost");
  CHECK((answer == "127.0.0.1" || answer == "127.0.0.1 ::1"));
  CHECK(world.pool.started_count() == 1);
}

TEST_CASE("What is neither an address nor a name is refused without asking anybody", "[io][resolver]") {
  World world;
  const std::string host = GENERATE(as<std::string>(), "", ".", "host name", "-x;y", "10.1", "1", "0x7f000001",
                                    "host.0x1", "1.2.3.4.5", "256.1.1.1", "[::1]", "host:6783", "fe80::1%eth0", "a..",
                                    std::string("a\0b", 3), "n\xc3\xb6", std::string(254, 'a'));
  const std::string answer = world.Answer(host);
  INFO(answer);
  CHECK(absl::StartsWith(answer, "INVALID_ARGUMENT: resolve \""));
  CHECK(absl::EndsWith(answer, "\": want an IP address or a host name of letters, digits, '-', '_' and '.'"));
  CHECK(world.pool.started_count() == 0);
}

TEST_CASE("At most so many lookups are under way; more are refused, not kept", "[io][resolver]") {
  World world;
  std::latch release(1);
  world.pool.Submit([&] { release.wait(); });
  std::vector<std::uint64_t> lookups;
  for (int i = 0; i < Resolver::kMaxOutstanding; ++i) lookups.push_back(world.Ask("localhost"));
  world.Ask("one.too.many");
  RunUntil(world.loop, [&] { return !world.answers.empty(); });
  CHECK(world.answers ==
        std::vector<std::string>{"RESOURCE_EXHAUSTED: resolve \"one.too.many\": 64 lookups are under way"});

  // Who cancels does not make room: the worker has the task still. An address needs no room.
  world.resolver->Cancel(lookups[0]);
  world.answers.clear();
  world.Ask("one.too.many");
  world.Ask("::1");
  RunUntil(world.loop, [&] { return world.answers.size() == 2; });
  CHECK(absl::StartsWith(world.answers[0], "RESOURCE_EXHAUSTED"));

  world.answers.clear();
  release.count_down();
  RunUntil(world.loop, [&] { return world.answers.size() == lookups.size() - 1; });
  CHECK(absl::StartsWith(world.Answer("localhost"), "127.0.0.1"));
}

TEST_CASE("A lookup that was cancelled is not answered; cancelling again or anything else does nothing",
          "[io][resolver]") {
  World world;
  std::latch release(1);
  world.pool.Submit([&] { release.wait(); });
  const auto owned = std::make_shared<int>(1);
  const std::uint64_t name = world.resolver->Resolve("localhost", [owned](auto) { FAIL("cancelled"); });
  const std::uint64_t literal = world.resolver->Resolve("::1", [owned](auto) { FAIL("cancelled"); });
  CHECK(owned.use_count() == 3);
  for (int i = 0; i < 2; ++i)
    for (const std::uint64_t id : {name, literal, std::uint64_t{12345}}) world.resolver->Cancel(id);
  CHECK(owned.use_count() == 1);
  world.Ask("localhost");
  release.count_down();
  RunUntil(world.loop, [&] { return world.answers.size() == 1; });
  RunSomeTurns(world.loop);
}

TEST_CASE("A resolver that goes takes its questions with it, whatever the workers still do", "[io][resolver]") {
  World world;
  std::latch release(1);
  world.pool.Submit([&] { release.wait(); });
  for (int i = 0; i < 3; ++i) world.Ask("localhost");
  world.Ask("::1");
  world.resolver.reset();
  release.count_down();
  std::latch worked(1);
  world.pool.Submit([&] { worked.count_down(); });
  worked.wait();
  RunSomeTurns(world.loop);
  CHECK(world.answers.empty());
}

TEST_CASE("A callback may ask again and cancel others", "[io][resolver]") {
  World world;
  std::string answer;
  std::uint64_t other = 0;
  world.resolver->Resolve("::1", [&](auto) {
    world.resolver->Cancel(other);
    world.resolver->Resolve("::2",
                            [&](absl::StatusOr<std::vector<IpAddress>> result) { answer = result->at(0).ToString(); });
  });
  other = world.Ask("::3");
  RunUntil(world.loop, [&] { return answer == "::2"; });
  CHECK(world.answers.empty());
}

}  // namespace
}  // namespace weave
