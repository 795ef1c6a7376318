#include "io/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "io/clock.h"
#include "test/support/catch.h"

namespace weave {
namespace {

SubprocessResult Run(const SubprocessOptions& options) {
  absl::StatusOr<SubprocessResult> result = RunSubprocess(options);
  REQUIRE(result.status() == absl::OkStatus());
  return *std::move(result);
}

TEST_CASE("A program gets its input and its outputs and exit status come back", "[io]") {
  const SubprocessResult result = Run({.argv = {"sh", "-c", "cat; echo oops >&2; exit 3"}, .input = "some\ntext"});
  CHECK(result.output == "some\ntext");
  CHECK(result.error_output == "oops\n");
  CHECK(result.exit_status == 3);
  CHECK_FALSE(result.succeeded());
  CHECK_FALSE(result.truncated);
}

TEST_CASE("Arguments reach the program untouched: there is no shell", "[io]") {
  CHECK(Run({.argv = {"printf", "%s|", "a b", "$HOME", "*", ""}}).output == "a b|$HOME|*||");
}

TEST_CASE("A missing program is NotFound, one that may not run PermissionDenied, each by name", "[io]") {
  const absl::Status missing = RunSubprocess({.argv = {"weave-no-such-program"}}).status();
  CHECK(missing.code() == absl::StatusCode::kNotFound);
  CHECK(absl::StrContains(missing.message(), "weave-no-such-program"));
  const absl::Status denied = RunSubprocess({.argv = {"/etc/passwd"}}).status();
  CHECK(denied.code() == absl::StatusCode::kPermissionDenied);
  CHECK(absl::StrContains(denied.message(), "/etc/passwd"));
}

TEST_CASE("A program that takes too long is killed and named", "[io]") {
  const MonotonicTime start = MonotonicNow();
  const absl::Status status = RunSubprocess({.argv = {"sleep", "600"}, .timeout = absl::Milliseconds(20)}).status();
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(absl::StrContains(status.message(), "sleep"));
  CHECK(MonotonicNow() - start < absl::Seconds(60));
  CHECK(::waitpid(-1, nullptr, WNOHANG) < 0);  // nothing is left to reap
}

TEST_CASE("Output beyond the limit is read and dropped, and said to be", "[io]") {
  const SubprocessResult result = Run({.argv = {"head", "-c", "3000000", "/dev/zero"}, .max_output_size = 1000});
  CHECK(result.output.size() == 1000);
  CHECK(result.truncated);
  CHECK(result.succeeded());

  const SubprocessResult whole = Run({.argv = {"head", "-c", "1048576", "/dev/zero"}});
  CHECK(whole.output.size() == 1048576);
  CHECK_FALSE(whole.truncated);
}

TEST_CASE("A large input that the program never reads does no harm", "[io]") {
  CHECK(Run({.argv = {"true"}, .input = std::string(5'000'000, 'x')}).succeeded());
  CHECK(Run({.argv = {"wc", "-c"}, .input = std::string(5'000'000, 'x')}).output == "5000000\n");
}

TEST_CASE("Death by signal shows as 128 and the signal", "[io]") {
  CHECK(Run({.argv = {"sh", "-c", "kill -TERM $$"}}).exit_status == 128 + SIGTERM);
}

TEST_CASE("The end of the program counts, not that of its children holding the outputs", "[io]") {
  const SubprocessResult result = Run({.argv = {"sh", "-c", "sleep 600 & echo $!"}});
  CHECK(result.succeeded());
  CHECK(::kill(std::stoi(result.output), SIGKILL) == 0);
}

TEST_CASE("Variables are added to the environment or replace those of the same name", "[io]") {
  ::setenv("WEAVE_TEST_OLD", "old", 1);
  const SubprocessResult result = Run({.argv = {"sh", "-c", "echo $WEAVE_TEST_OLD $WEAVE_TEST_NEW ${PATH:+path}"},
                                       .environment = {{"WEAVE_TEST_OLD", "replaced"}, {"WEAVE_TEST_NEW", "new"}}});
  CHECK(result.output == "replaced new path\n");
  ::unsetenv("WEAVE_TEST_OLD");
}

TEST_CASE("The program starts with no signal blocked and no descriptor of ours", "[io]") {
  sigset_t term, previous;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &term, &previous);
  const SubprocessResult status = Run({.argv = {"grep", "SigBlk", "/proc/self/status"}});
  pthread_sigmask(SIG_SETMASK, &previous, nullptr);
  CHECK(status.output == "SigBlk:\t0000000000000000\n");

  // What this test itself was started with is passed on; nothing of RunSubprocess's own is.
  int inherited = 0;
  for (int fd = STDERR_FILENO + 1; fd < 1024; ++fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    inherited += flags >= 0 && (flags & FD_CLOEXEC) == 0 ? 1 : 0;
  }
  const std::string listed = Run({.argv = {"ls", "/proc/self/fd"}, .input = "text"}).output;
  CHECK(std::count(listed.begin(), listed.end(), '\n') == inherited + 4);  // its standard three and the directory
}

TEST_CASE("Programs run from several threads do not mix", "[io]") {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&right, t] {
      for (int i = 0; i < 10; ++i) {
        const std::string text = absl::StrCat(t, "-", i);
        const auto result = RunSubprocess({.argv = {"cat"}, .input = text});
        if (result.ok() && result->output == text) ++right;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 40);
}

TEST_CASE("Insisting on success turns an exit status into an error with the program's last words", "[io]") {
  CHECK(RunSuccessfully({.argv = {"echo", "fine"}})->output == "fine\n");
  const absl::Status status =
      RunSuccessfully({.argv = {"sh", "-c", "echo first >&2; echo 'no such rule' >&2; exit 2"}}).status();
  CHECK(status.message() == "run sh: exit status 2: no such rule");
}

}  // namespace
}  // namespace weave
