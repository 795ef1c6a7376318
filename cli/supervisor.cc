#include "cli/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "cli/restart_backoff.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "io/service_notify.h"

namespace weave {
namespace {

// One line in the peer's log, in the peer's form (io/log_sink.h), without its machinery in a process that sleeps.
void LogLine(LogLevel level, absl::string_view message, Logger::Fields fields = {}) {
  const std::string line = absl::StrCat(level == LogLevel::kInfo ? "INFO: " : "WARN: ",
                                        absl::FormatTime("%Y-%m-%d %H:%M:%E6S", absl::Now(), absl::LocalTimeZone()),
                                        " supervisor: ", message, " ",
                                        FormatFields(absl::MakeConstSpan(fields.begin(), fields.size())), "\n");
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // a full disk must not stop anybody
}

// systemd's notifications are about the process it watches: us, unless the peer takes our place. Whether the peer was
// started before is ours to say.
bool IsForPeer(absl::string_view variable, bool supervised) {
  if (absl::StartsWith(variable, "WATCHDOG_PID=")) return false;
  if (absl::StartsWith(variable, absl::StrCat(kRestartVariable, "="))) return false;
  return !supervised ||
         (!absl::StartsWith(variable, "NOTIFY_SOCKET=") && !absl::StartsWith(variable, "WATCHDOG_USEC="));
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

// A program that is kept running: its process, and when it is to be started or killed.
struct Child {
  pid_t pid = 0;  // 0: none runs
  MonotonicTime started;
  RestartBackoff backoff;
  std::optional<MonotonicTime> deadline;  // of the next start, or of the process that is to end

  void End(int signal) {
    ::kill(pid, signal);
    if (!deadline) deadline = MonotonicNow() + kStopPatience;
  }
};

// How a process ended: 128 and the signal that killed it, or its exit status. Logs it.
int ExitStatusOf(int wait_status, absl::string_view what, pid_t pid) {
  const bool killed = WIFSIGNALED(wait_status);
  const int exit_status = killed ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  LogLine(exit_status == 0 ? LogLevel::kInfo : LogLevel::kWarning, absl::StrCat(what, " ended"),
          {{"pid", pid}, {killed ? "signal" : "exit_status", killed ? WTERMSIG(wait_status) : exit_status}});
  return exit_status;
}

// Runs in the forked process, alone on its thread.
class Supervisor {
 public:
  Supervisor(const SupervisorOptions& options, LaunchChannel launch, Fd signals)
      : options_(options), launch_(std::move(launch)), signals_(std::move(signals)) {}

  // Until the peer has ended for good, or may go on alone; and the plugin, if there is one.
  void Run() {
    Start();
    while (!finished_) Turn();
    if (plugin_lock_) (void)plugin_lock_->ReleaseAndRemove();
  }

  // How the peer ended, if launch has gone without.
  std::optional<PeerEnd> abandoned_end() const { return abandoned_ ? std::optional(end_) : std::nullopt; }

 private:
  bool supervised() const { return !options_.lock_path.empty(); }

  void Turn();
  void OnSignals();
  void OnLaunch();
  void OnKeep();
  void OnDeadline();
  void OnEnd(int wait_status);
  void OnPluginEnd(int wait_status);
  void Start();
  void StartPlugin();
  void End(int signal);
  void Finish();
  absl::StatusOr<pid_t> Spawn(const std::string& program, const std::vector<std::string>& args,
                              const std::string& variable) const;

  const SupervisorOptions& options_;
  LaunchChannel launch_;
  const Fd signals_;

  Child weaver_;
  Child plugin_;
  std::optional<LockFile> plugin_lock_;
  bool ready_ = false;                // launch has said "keep"
  bool abandoned_ = false;            // launch has gone without
  PeerEnd end_ = PeerEnd::kTookBack;  // before it got ready
  bool let_end_ = false;              // do not start them again
  bool plugin_started_ = false;       // once
  bool finishing_ = false;            // only the plugin is to end yet
  bool finished_ = false;
};

void Supervisor::Turn() {
  const std::optional<MonotonicTime> deadline = Earliest({weaver_.deadline, plugin_.deadline});
  const Duration left = deadline ? *deadline - MonotonicNow() : absl::InfiniteDuration();
  const bool listening = !ready_ && !abandoned_;
  std::array<pollfd, 2> ready = {pollfd{signals_.get(), POLLIN, 0}, pollfd{listening ? launch_.fd() : -1, POLLIN, 0}};
  ::poll(ready.data(), ready.size(), deadline ? PollTimeout(left) : -1);
  if (ready[1].revents != 0) OnLaunch();
  if (ready[0].revents != 0) OnSignals();
  if (!finished_) OnDeadline();
}

void Supervisor::OnSignals() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == kLetEndSignal) {
      let_end_ = true;
      if (plugin_.pid == 0) plugin_.deadline.reset();
      // The plugin of a peer that was left alone is asked to end by itself: it has a network to remove.
      if (weaver_.pid == 0 && (supervised() || plugin_.pid == 0)) Finish();
    } else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
      End(SIGTERM);
    }
  }
  int wait_status = 0;
  if (weaver_.pid != 0 && ::waitpid(weaver_.pid, &wait_status, WNOHANG) == weaver_.pid) OnEnd(wait_status);
  if (plugin_.pid != 0 && ::waitpid(plugin_.pid, &wait_status, WNOHANG) == plugin_.pid) OnPluginEnd(wait_status);
}

void Supervisor::OnLaunch() {
  const std::optional<LaunchChannel::Message> message = launch_.Receive();
  if (message && message->word == "keep") {
    ready_ = true;
    launch_.Send("kept");
    launch_.Close();
    OnKeep();
  } else {
    // The channel stays open: that it closes tells a launch which gave up that all is cleared away.
    abandoned_ = true;
    LogLine(LogLevel::kWarning, "weave launch gave up or was killed; ending the peer");
    if (!options_.launch_socket.empty()) (void)RemoveIfExists(options_.launch_socket);
    End(kTakeBackSignal);
  }
}

void Supervisor::OnKeep() {
  const bool plugin = !options_.plugin.empty();
  // The peer goes to whoever supervises it by being an orphan, so somebody else must stay with the plugin.
  if (!supervised() && (!plugin || ::fork() != 0)) {
    finished_ = true;
    return;
  }
  if (!supervised()) {
    weaver_ = Child();
    absl::StatusOr<LockFile> lock = LockFile::Acquire(options_.plugin_lock_path);
    if (!lock.ok()) {
      LogLine(LogLevel::kWarning, lock.status().message());
      finished_ = true;
      return;
    }
    plugin_lock_ = *std::move(lock);
  }
  if (plugin) StartPlugin();
}

void Supervisor::OnDeadline() {
  const MonotonicTime now = MonotonicNow();
  if (weaver_.deadline && now >= *weaver_.deadline) {
    weaver_.deadline.reset();
    if (weaver_.pid == 0) return Start();
    LogLine(LogLevel::kWarning, "the peer did not end in time; killing it", {{"pid", weaver_.pid}});
    ::kill(weaver_.pid, SIGKILL);
  }
  if (plugin_.deadline && now >= *plugin_.deadline) {
    plugin_.deadline.reset();
    if (plugin_.pid == 0) return StartPlugin();
    LogLine(LogLevel::kWarning, "the plugin did not end in time; killing it", {{"pid", plugin_.pid}});
    ::kill(plugin_.pid, SIGKILL);
  }
}

void Supervisor::OnEnd(int wait_status) {
  const Duration lifetime = MonotonicNow() - weaver_.started;
  const int exit_status = ExitStatusOf(wait_status, "the peer", weaver_.pid);
  weaver_.pid = 0;
  weaver_.deadline.reset();
  end_ = EndOfPeer(exit_status);
  if (!ready_) launch_.Send("ended", absl::StrCat(exit_status));
  if (!ready_ || let_end_ || exit_status == 0) return Finish();
  const Duration wait = weaver_.backoff.Next(lifetime);
  LogLine(LogLevel::kInfo, "starting the peer again", {{"in", absl::FormatDuration(wait)}});
  weaver_.deadline = MonotonicNow() + wait;
}

void Supervisor::OnPluginEnd(int wait_status) {
  const Duration lifetime = MonotonicNow() - plugin_.started;
  const int exit_status = ExitStatusOf(wait_status, "the plugin", plugin_.pid);
  plugin_.pid = 0;
  plugin_.deadline.reset();
  if (finishing_ || !supervised()) finished_ = finishing_ || let_end_ || exit_status == 0;
  if (finished_ || let_end_ || exit_status == 0) return;
  plugin_.deadline = MonotonicNow() + plugin_.backoff.Next(lifetime);
}

void Supervisor::Start() {
  weaver_.started = MonotonicNow();
  const absl::StatusOr<pid_t> pid = Spawn(
      options_.traces.weaver, options_.args,
      ready_ ? absl::StrCat(kRestartVariable, "=1") : absl::StrCat(kLaunchSocketVariable, "=", options_.launch_socket));
  if (pid.ok()) {
    weaver_.pid = *pid;
    launch_.Send("started", absl::StrCat(weaver_.pid));
    return;
  }
  LogLine(LogLevel::kWarning, pid.status().message());
  if (ready_) {
    // An upgrade may be replacing the program just now.
    weaver_.deadline = weaver_.started + weaver_.backoff.Next(absl::ZeroDuration());
  } else {
    launch_.Send("failed", pid.status().message());
    finished_ = true;
  }
}

void Supervisor::StartPlugin() {
  plugin_.started = MonotonicNow();
  const absl::StatusOr<pid_t> pid =
      Spawn(options_.plugin, options_.plugin_args,
            plugin_started_ ? absl::StrCat(kRestartVariable, "=1")
                            : absl::StrCat(kLaunchSocketVariable, "=", options_.launch_socket));
  plugin_started_ = true;
  if (pid.ok()) {
    plugin_.pid = *pid;
    return;
  }
  LogLine(LogLevel::kWarning, pid.status().message());
  plugin_.deadline = plugin_.started + plugin_.backoff.Next(absl::ZeroDuration());
}

void Supervisor::End(int signal) {
  let_end_ = true;
  if (weaver_.pid == 0) return Finish();
  weaver_.End(signal);
}

// There is no peer any more: nor a plugin.
void Supervisor::Finish() {
  finishing_ = true;
  weaver_.deadline.reset();
  if (plugin_.pid == 0)
    finished_ = true;
  else
    plugin_.End(SIGTERM);
}

absl::StatusOr<pid_t> Supervisor::Spawn(const std::string& program, const std::vector<std::string>& args,
                                        const std::string& variable) const {
  std::vector<std::string> arguments = {program};
  arguments.insert(arguments.end(), args.begin(), args.end());
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (IsForPeer(*entry, supervised() || &program == &options_.plugin)) environment.emplace_back(*entry);
  environment.push_back(variable);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int err = ::posix_spawn(&pid, program.c_str(), nullptr, &attributes, Pointers(arguments).data(),
                                Pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  if (err != 0) return ErrnoError(err, absl::StrCat("run ", program));
  return pid;
}

// Everything but the log and the channel is closed: the locks of launch, above all. The channel gets number 3.
absl::Status LeaveLaunchBehind(int log_fd, LaunchChannel& channel) {
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0) return ErrnoError(errno, "open /dev/null");
  ::dup2(null, STDIN_FILENO);
  ::dup2(log_fd, STDOUT_FILENO);
  ::dup2(log_fd, STDERR_FILENO);
  const int fd = channel.Release();
  if (fd != STDERR_FILENO + 1) ::dup2(fd, STDERR_FILENO + 1);
  channel = LaunchChannel(Fd(STDERR_FILENO + 1));
  ::fcntl(channel.fd(), F_SETFD, FD_CLOEXEC);
  if (::close_range(STDERR_FILENO + 2, ~0U, 0) != 0) return ErrnoError(errno, "close_range");
  if (::chdir("/") != 0) return ErrnoError(errno, "chdir /");
  ::umask(022);
  ::prctl(PR_SET_NAME, "weave-supervise");
  return absl::OkStatus();
}

absl::StatusOr<Fd> WatchSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (int signal : {SIGCHLD, SIGTERM, SIGINT, kLetEndSignal}) sigaddset(&watched, signal);
  ::sigprocmask(SIG_BLOCK, &watched, nullptr);
  ::signal(SIGHUP, SIG_IGN);
  Fd fd(::signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoError(errno, "signalfd");
  return fd;
}

// Nothing while launch lives: it takes back itself what it made. Or another one has come.
std::optional<LockFile> LockOfKilledLaunch(const Instance& instance) {
  absl::StatusOr<LockFile> lock = LockFile::Acquire(instance.launch_lock());
  return lock.ok() ? std::optional(*std::move(lock)) : std::nullopt;
}

void TakeBack(const LaunchTraces& traces, PeerEnd end) {
  const absl::Status status = TakeBackLaunch(traces, end);
  if (!status.ok())
    LogLine(LogLevel::kWarning, "what the launch made could not be taken back", {{"error", status.message()}});
}

absl::Status Supervise(const SupervisorOptions& options, int log_fd, LaunchChannel& channel) {
  RETURN_IF_ERROR(LeaveLaunchBehind(log_fd, channel));
  ASSIGN_OR_RETURN(Fd signals, WatchSignals());
  std::optional<LockFile> lock;
  if (!options.lock_path.empty()) {
    ASSIGN_OR_RETURN(lock, LockFile::Acquire(options.lock_path));
  }
  Supervisor supervisor(options, std::move(channel), std::move(signals));  // with the channel: closed after the lock
  supervisor.Run();
  // Both locks at once: no other launch comes in between.
  std::optional<LockFile> launch;
  if (supervisor.abandoned_end()) launch = LockOfKilledLaunch(options.traces.instance);
  if (launch) TakeBack(options.traces, *supervisor.abandoned_end());
  absl::Status status = lock ? lock->ReleaseAndRemove() : absl::OkStatus();
  if (launch) {
    (void)launch->ReleaseAndRemove();
    if (options.traces.made_run_directory) ::rmdir(options.traces.instance.run_directory.c_str());
  }
  return status;
}

}  // namespace

absl::StatusOr<LaunchChannel> StartSupervisor(const SupervisorOptions& options, int log_fd) {
  ASSIGN_OR_RETURN(auto ends, LaunchChannel::Open());
  auto& [ours, theirs] = ends;
  const pid_t first = ::fork();
  if (first < 0) return ErrnoError(errno, "fork");
  if (first > 0) {
    theirs.Close();
    while (::waitpid(first, nullptr, 0) < 0 && errno == EINTR) {
    }
    return std::move(ours);
  }
  // Leader of a session without a terminal; its child, which is not a leader, never gets one.
  ::setsid();
  if (const pid_t second = ::fork(); second != 0) ::_exit(second < 0 ? 1 : 0);
  if (const absl::Status status = Supervise(options, log_fd, theirs); !status.ok())
    theirs.Send("failed", status.message());
  ::_exit(0);  // no destructor of launch's may run here
}

}  // namespace weave
