#include "io/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/status.h"
#include "io/clock.h"
#include "io/fd.h"

namespace weave {
namespace {

// Above the standard three, so that wiring up the child never overwrites one that is still to be wired.
absl::StatusOr<Fd> AboveStandard(Fd fd) {
  if (fd.get() > STDERR_FILENO) return fd;
  Fd moved(::fcntl(fd.get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!moved.valid()) return ErrnoError(errno, "duplicate a descriptor");
  return moved;
}

// One captured output: a pipe whose end of ours is read without blocking, and what came out of it.
class Capture {
 public:
  explicit Capture(std::size_t max_size) : max_size_(max_size) {}

  absl::Status Open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
    read_end_.reset(ends[0]);
    ASSIGN_OR_RETURN(write_end_, AboveStandard(Fd(ends[1])));
    ASSIGN_OR_RETURN(read_end_, AboveStandard(std::move(read_end_)));
    ::fcntl(read_end_.get(), F_SETFL, O_NONBLOCK);
    return absl::OkStatus();
  }

  int write_fd() const { return write_end_.get(); }
  int read_fd() const { return read_end_.get(); }  // -1 after the end
  void CloseWriteEnd() { write_end_.reset(); }

  // Reads what is there, a bounded piece of it.
  void ReadSome() {
    char buffer[16384];
    for (int round = 0; round < 16 && read_end_.valid(); ++round) {
      const ssize_t size = ::read(read_end_.get(), buffer, sizeof buffer);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) {
        read_end_.reset();
        return;
      }
      const std::size_t kept = std::min(static_cast<std::size_t>(size), max_size_ - text_.size());
      text_.append(buffer, kept);
      truncated_ = truncated_ || kept < static_cast<std::size_t>(size);
    }
  }

  std::string TakeText() { return std::move(text_); }
  bool truncated() const { return truncated_; }

 private:
  const std::size_t max_size_;
  Fd read_end_, write_end_;
  std::string text_;
  bool truncated_ = false;
};

// A file in memory rather than a pipe: the child may read it late, partly or never, and nobody has to feed it.
absl::StatusOr<Fd> OpenInput(const std::string& input) {
  if (input.empty()) {
    Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.valid()) return ErrnoError(errno, "open /dev/null");
    return AboveStandard(std::move(null));
  }
  Fd file(::memfd_create("input", MFD_CLOEXEC));
  if (!file.valid()) return ErrnoError(errno, "memfd_create");
  for (std::size_t done = 0; done < input.size();) {
    const ssize_t size = ::write(file.get(), input.data() + done, input.size() - done);
    if (size < 0 && errno != EINTR) return ErrnoError(errno, "write standard input");
    if (size > 0) done += static_cast<std::size_t>(size);
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "rewind standard input");
  return AboveStandard(std::move(file));
}

std::vector<std::string> Environment(const SubprocessOptions& options) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const absl::string_view text = *entry;
    const bool replaced =
        std::any_of(options.environment.begin(), options.environment.end(),
                    [&](const auto& variable) { return text.substr(0, text.find('=')) == variable.first; });
    if (!replaced) result.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment) result.push_back(absl::StrCat(name, "=", value));
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// The spawned program and everything that posix_spawn(3) needs for it.
class Child {
 public:
  explicit Child(const SubprocessOptions& options)
      : options_(options), output_(options.max_output_size), error_output_(options.max_output_size) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }

  absl::Status Start();

  // Reads both outputs until the program has ended; kills it at the deadline.
  absl::StatusOr<SubprocessResult> Wait();

 private:
  int Spawn();
  int KillAndReap();

  const SubprocessOptions& options_;
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
  Capture output_, error_output_;
  pid_t pid_ = -1;
};

absl::Status Child::Start() {
  ASSIGN_OR_RETURN(const Fd input, OpenInput(options_.input));
  RETURN_IF_ERROR(output_.Open());
  RETURN_IF_ERROR(error_output_.Open());
  posix_spawn_file_actions_adddup2(&actions_, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions_, output_.write_fd(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions_, error_output_.write_fd(), STDERR_FILENO);

  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes_, &all);
  posix_spawnattr_setsigmask(&attributes_, &none);
  posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

  int err = 0;
  if (options_.netns_fd < 0) {
    err = Spawn();
  } else {
    // A network namespace belongs to the thread and a child starts in its parent's: a thread of its own enters it and
    // never has to find back.
    try {
      std::thread([this, &err] { err = ::setns(options_.netns_fd, CLONE_NEWNET) == 0 ? Spawn() : errno; }).join();
    } catch (const std::system_error& error) {
      err = error.code().value();
    }
  }
  output_.CloseWriteEnd();
  error_output_.CloseWriteEnd();
  return err == 0 ? absl::OkStatus() : ErrnoError(err, absl::StrCat("run ", options_.argv[0]));
}

int Child::Spawn() {
  std::vector<std::string> arguments = options_.argv;
  std::vector<std::string> environment = Environment(options_);
  return posix_spawnp(&pid_, arguments[0].c_str(), &actions_, &attributes_, Pointers(arguments).data(),
                      Pointers(environment).data());
}

// Reaps the program, which has ended or is about to; returns its wait status.
int Child::KillAndReap() {
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) CHECK(errno == EINTR) << "waitpid: errno " << errno;
  return status;
}

absl::StatusOr<SubprocessResult> Child::Wait() {
  // Not a child signal: other threads wait for their own programs.
  const Fd ended(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!ended.valid()) {
    const int err = errno;
    KillAndReap();
    return ErrnoError(err, "pidfd_open");
  }
  const MonotonicTime start = MonotonicNow();
  while (true) {
    const Duration left = options_.timeout - (MonotonicNow() - start);
    pollfd ready[] = {{ended.get(), POLLIN, 0}, {output_.read_fd(), POLLIN, 0}, {error_output_.read_fd(), POLLIN, 0}};
    const int count = ::poll(ready, std::size(ready), PollTimeout(left));
    if (count == 0 && left <= absl::ZeroDuration()) {
      KillAndReap();
      return absl::DeadlineExceededError(
          absl::StrCat("run ", options_.argv[0], ": killed after ", absl::FormatDuration(options_.timeout)));
    }
    if (count < 0) continue;
    output_.ReadSome();
    error_output_.ReadSome();
    if (ready[0].revents != 0) break;
  }
  const int status = KillAndReap();
  return SubprocessResult{.exit_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
                          .output = output_.TakeText(),
                          .error_output = error_output_.TakeText(),
                          .truncated = output_.truncated() || error_output_.truncated()};
}

}  // namespace

absl::StatusOr<SubprocessResult> RunSubprocess(const SubprocessOptions& options) {
  CHECK(!options.argv.empty()) << "a program without a name";
  Child child(options);
  RETURN_IF_ERROR(child.Start());
  return child.Wait();
}

absl::StatusOr<SubprocessResult> RunSuccessfully(const SubprocessOptions& options) {
  ASSIGN_OR_RETURN(SubprocessResult result, RunSubprocess(options));
  if (result.succeeded()) return result;
  const absl::string_view text = absl::StripTrailingAsciiWhitespace(result.error_output);
  const absl::string_view last = text.substr(text.rfind('\n') + 1);
  return absl::InternalError(
      absl::StrCat("run ", options.argv[0], ": exit status ", result.exit_status, last.empty() ? "" : ": ", last));
}

}  // namespace weave
