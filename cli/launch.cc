// weave launch: checks that nobody runs, starts the peer under a supervisor and waits until it is ready.
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "cli/commands.h"
#include "cli/docker_bridge.h"
#include "cli/launch_plan.h"
#include "cli/launch_traces.h"
#include "cli/process.h"
#include "cli/running_check.h"
#include "cli/supervisor.h"
#include "cli/systemd.h"
#include "cli/weaver_program.h"
#include "host/bridge.h"
#include "io/clock.h"
#include "io/file.h"
#include "io/lock_file.h"
#include "io/service_notify.h"

namespace weave {
namespace {

constexpr int kDefaultPatienceSeconds = 60;
constexpr Duration kPluginPatience = absl::Seconds(10);

// How the start of the peer turned out.
struct Outcome {
  pid_t pid = 0;      // of the peer that is ready; 0: it is not
  std::string error;  // else why, one line
  int exit_status = kExitFailure;
  std::vector<std::string> warnings;  // what the peer found on this host that needs a person, one line each
};

// One launch under way: everything it made, to be taken back if the peer does not become ready.
class Launch {
 public:
  // `plugin`: the program; empty: none.
  Launch(CommandContext& context, LaunchPlan plan, LaunchTraces traces, std::string plugin, Duration patience)
      : context_(context),
        plan_(std::move(plan)),
        traces_(std::move(traces)),
        plugin_(std::move(plugin)),
        patience_(patience) {}

  // InvalidArgument etc. when it could not even start something; all is as it was then.
  absl::StatusOr<Outcome> Run();

 private:
  absl::Status Prepare();
  Outcome AwaitReady();
  void OnNotification(std::map<std::string, std::string> message, Outcome& outcome);
  bool OnSupervisor(Outcome& outcome);
  void OnPeerEnded(int exit_status, Outcome& outcome);
  bool Keep(Outcome& outcome);
  void AwaitPlugin(Outcome& outcome);
  std::string LastLogLine() const;

  CommandContext& context_;
  const LaunchPlan plan_;
  const LaunchTraces traces_;
  const std::string plugin_;
  const Duration patience_;

  Fd log_;
  off_t log_start_ = 0;  // where this launch's output begins
  std::optional<LaunchSocket> notifications_;
  LaunchChannel supervisor_;
  pid_t pid_ = 0;                     // of the peer's process
  bool ready_ = false;                // it said so
  PeerEnd end_ = PeerEnd::kTookBack;  // if it has ended
  std::string last_status_;           // what it said last
};

absl::StatusOr<Outcome> Launch::Run() {
  if (const absl::Status status = Prepare(); !status.ok()) {
    (void)TakeBackLaunch(traces_, end_);
    return status;
  }
  Outcome outcome = AwaitReady();
  if (outcome.pid == 0) {
    supervisor_.Close();
    if (const absl::Status status = TakeBackLaunch(traces_, end_); !status.ok())
      absl::StrAppend(&outcome.error, "; not all of it could be taken back: ", status.message());
  } else if (!plugin_.empty()) {
    AwaitPlugin(outcome);
  }
  return outcome;
}

absl::Status Launch::Prepare() {
  const Instance& instance = context_.instance;
  RETURN_IF_ERROR(EnsureDirectory(DirectoryOf(plan_.state.log_path)));
  log_.reset(::open(plan_.state.log_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!log_.valid()) return ErrnoError(errno, absl::StrCat("open the log ", plan_.state.log_path));
  log_start_ = ::lseek(log_.get(), 0, SEEK_END);

  ASSIGN_OR_RETURN(LaunchSocket notifications, LaunchSocket::Bind(instance.run_directory));
  notifications_.emplace(std::move(notifications));
  RETURN_IF_ERROR(WriteFileAtomically(instance.launch_state(), FormatLaunchState(plan_.state)));
  ASSIGN_OR_RETURN(supervisor_, StartSupervisor({.traces = traces_,
                                                 .args = plan_.weaver_args,
                                                 .launch_socket = notifications_->path(),
                                                 .lock_path = plan_.supervised ? instance.supervisor_lock() : "",
                                                 .plugin = plugin_,
                                                 .plugin_args = plan_.plugin_args,
                                                 .plugin_lock_path = instance.plugin_supervisor_lock()},
                                                log_.get()));
  return absl::OkStatus();
}

Outcome Launch::AwaitReady() {
  Outcome outcome;
  const MonotonicTime start = MonotonicNow();
  while (outcome.pid == 0 && outcome.error.empty()) {
    const Duration left = patience_ - (MonotonicNow() - start);
    if (left <= absl::ZeroDuration()) {
      outcome.error = absl::StrCat("weave: the peer was not ready within ", absl::FormatDuration(patience_),
                                   last_status_.empty() ? "" : absl::StrCat(" (", last_status_, ")"),
                                   "; it was ended again. See ", plan_.state.log_path);
      break;
    }
    pollfd ready[] = {{notifications_->fd(), POLLIN, 0}, {supervisor_.fd(), POLLIN, 0}};
    if (::poll(ready, 2, PollTimeout(left)) <= 0) continue;
    // What the peer said comes before that it ended: it says why.
    if (auto message = notifications_->Receive(absl::ZeroDuration()); message.ok()) {
      OnNotification(*std::move(message), outcome);
    } else if (ready[1].revents != 0 && !OnSupervisor(outcome)) {
      outcome.error = absl::StrCat("weave: the supervisor died; see ", plan_.state.log_path);
    }
    if (ready_ && pid_ != 0 && outcome.error.empty() && Keep(outcome)) outcome.pid = pid_;
  }
  if (outcome.pid == 0) {
    // The supervisor sees that nobody waits, ends the peer and goes.
    ::shutdown(supervisor_.fd(), SHUT_WR);
    while (const std::optional<LaunchChannel::Message> message = supervisor_.Receive()) {
      int exit_status = 0;
      if (message->word == "ended" && absl::SimpleAtoi(message->text, &exit_status)) end_ = EndOfPeer(exit_status);
    }
  }
  return outcome;
}

void Launch::OnNotification(std::map<std::string, std::string> message, Outcome& outcome) {
  if (message.count("STATUS") > 0) last_status_ = message["STATUS"];
  if (message.count("WEAVE_WARNING") > 0) outcome.warnings.push_back(message["WEAVE_WARNING"]);
  if (message.count("WEAVE_ERROR") > 0) {
    outcome.error = message["WEAVE_ERROR"];
    int exit_status = 0;
    if (absl::SimpleAtoi(message["EXIT_STATUS"], &exit_status) && exit_status > 0) outcome.exit_status = exit_status;
  }
  if (message["READY"] == "1") ready_ = true;
}

// False when the supervisor is gone.
bool Launch::OnSupervisor(Outcome& outcome) {
  const std::optional<LaunchChannel::Message> message = supervisor_.Receive();
  if (!message) return false;
  int number = 0;
  if (message->word == "failed") {
    outcome.error = absl::StrCat("weave: ", message->text);
  } else if (message->word == "started" && absl::SimpleAtoi(message->text, &number)) {
    pid_ = number;
  } else if (message->word == "ended" && absl::SimpleAtoi(message->text, &number)) {
    OnPeerEnded(number, outcome);
  }
  return true;
}

void Launch::OnPeerEnded(int exit_status, Outcome& outcome) {
  end_ = EndOfPeer(exit_status);
  // Its last words may have come between our looks at the two.
  for (auto message = notifications_->Receive(absl::ZeroDuration()); message.ok();
       message = notifications_->Receive(absl::ZeroDuration()))
    OnNotification(*std::move(message), outcome);
  if (!outcome.error.empty()) return;
  if (exit_status > 0 && exit_status < 128) outcome.exit_status = exit_status;
  const std::string last = LastLogLine();
  const std::string how =
      exit_status > 128 ? absl::StrCat("signal ", exit_status - 128) : absl::StrCat("exit status ", exit_status);
  outcome.error = absl::StrCat("The weave container has died (", how, ")", last.empty() ? "" : absl::StrCat(": ", last),
                               ". See ", plan_.state.log_path);
}

// Tells the supervisor that the peer may stay. False when it is gone.
bool Launch::Keep(Outcome& outcome) {
  supervisor_.Send("keep");
  while (const std::optional<LaunchChannel::Message> message = supervisor_.Receive()) {
    if (message->word == "kept") return true;
    int exit_status = 0;
    if (message->word == "ended" && absl::SimpleAtoi(message->text, &exit_status)) OnPeerEnded(exit_status, outcome);
  }
  if (outcome.error.empty()) outcome.error = absl::StrCat("weave: the supervisor died; see ", plan_.state.log_path);
  return false;
}

// Until the plugin serves Docker and has made its network, if Docker is there. A peer without it is better than none.
void Launch::AwaitPlugin(Outcome& outcome) {
  const MonotonicTime start = MonotonicNow();
  while (true) {
    const Duration left = kPluginPatience - (MonotonicNow() - start);
    auto message = notifications_->Receive(std::max(left, absl::ZeroDuration()));
    if (!message.ok()) {
      outcome.warnings.push_back(absl::StrCat("the Docker plugin is not ready yet; see ", plan_.state.log_path));
      return;
    }
    if (message->count("WEAVE_ERROR") > 0) outcome.warnings.push_back((*message)["WEAVE_ERROR"]);
    if ((*message)["READY"] == "1" || message->count("WEAVE_ERROR") > 0) return;
  }
}

std::string Launch::LastLogLine() const {
  absl::StatusOr<std::string> text = ReadSmallFile(plan_.state.log_path, 16 << 20);
  if (!text.ok() || static_cast<off_t>(text->size()) <= log_start_) return "";
  absl::string_view rest = absl::string_view(*text).substr(static_cast<std::size_t>(log_start_));
  while (!rest.empty()) {
    rest = absl::StripTrailingAsciiWhitespace(rest);
    const std::size_t line_start = rest.rfind('\n') + 1;  // npos + 1 is 0
    const absl::string_view line = rest.substr(line_start);
    if (!absl::StrContains(line, " supervisor: ")) return std::string(line);
    rest = rest.substr(0, line_start);
  }
  return "";
}

// The directory of locks and sockets; removed again, if we made it, when nothing stays in it.
class RunDirectory {
 public:
  explicit RunDirectory(std::string path) : path_(std::move(path)) {}
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;
  ~RunDirectory() {
    if (made_ && !kept_) ::rmdir(path_.c_str());
  }

  absl::Status Make() {
    made_ = ::access(path_.c_str(), F_OK) != 0;
    return EnsureDirectory(path_);
  }
  bool made() const { return made_; }
  void Keep() { kept_ = true; }

 private:
  std::string path_;
  bool made_ = false;
  bool kept_ = false;
};

absl::StatusOr<LockFile> LockLaunch(const Instance& instance) {
  absl::StatusOr<LockFile> lock = LockFile::Acquire(instance.launch_lock());
  if (!absl::IsAlreadyExists(lock.status())) return lock;
  const std::optional<pid_t> holder = HolderOf(instance.launch_lock()).value_or(std::nullopt);
  return absl::AlreadyExistsError(
      absl::StrCat("another 'weave launch' or 'weave reset' is under way (pid ", holder.value_or(0), ")"));
}

// Sockets of launches that were killed. Nobody else launches: we hold the lock.
void RemoveOldLaunchSockets(const Instance& instance) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(instance.run_directory, error)) {
    const std::string name = entry.path().filename();
    if (absl::StartsWith(name, "launch-") && absl::EndsWith(name, ".sock")) (void)RemoveIfExists(entry.path().string());
  }
}

absl::StatusOr<Duration> Patience(const Environment& environment) {
  const std::string text = ValueOf(environment, "WEAVE_LAUNCH_TIMEOUT");
  int seconds = kDefaultPatienceSeconds;
  if (!text.empty() && (!absl::SimpleAtoi(text, &seconds) || seconds < 1 || seconds > 3600))
    return absl::InvalidArgumentError(absl::StrCat("WEAVE_LAUNCH_TIMEOUT \"", text, "\": want seconds, 1 to 3600"));
  return absl::Seconds(seconds);
}

// The plugin's program, empty if there is to be none. One that is not installed is missed only by those who asked for
// it; then the peer does not count on it.
absl::StatusOr<std::string> ChoosePlugin(const CommandContext& context, absl::string_view weaver, LaunchPlan& plan) {
  if (plan.plugin_args.empty()) return std::string();
  if (LookAt(context.instance).plugin) return std::string();  // of a peer that crashed and was left alone
  absl::StatusOr<std::string> plugin = FindPlugin(context.environment, weaver);
  if (plugin.ok() || plan.plugin_asked || !absl::IsNotFound(plugin.status())) return plugin;
  std::erase(plan.weaver_args, kDefaultPluginFlag);
  return std::string();
}

bool LinkExistsHere(absl::string_view name) { return ::if_nametoindex(std::string(name).c_str()) != 0; }

// Before anything is made. To be called under the launch lock.
LaunchTraces TracesOf(const Instance& instance, const LaunchState& state, std::string weaver, bool made_run_directory) {
  LaunchTraces traces = {.instance = instance, .state = state, .weaver = std::move(weaver)};
  if (absl::StatusOr<std::string> text = ReadSmallFile(instance.launch_state()); text.ok())
    traces.previous_state = *std::move(text);
  traces.made_run_directory = made_run_directory;
  traces.had_bridge =
      LinkExistsHere(state.bridge) || LinkExistsHere(state.datapath.empty() ? kDefaultDatapath : state.datapath);
  traces.had_store = ::access(state.store_path().c_str(), F_OK) == 0;
  return traces;
}

}  // namespace

int RunLaunch(CommandContext& context) {
  if (!RequireRoot(context)) return kExitFailure;
  absl::StatusOr<LaunchPlan> plan = PlanLaunch(context.args, context.instance, context.environment, LinkExistsHere,
                                               DefaultDnsAddress(context.environment));
  if (!plan.ok()) return Fail(context, plan.status());
  const absl::StatusOr<Duration> patience = Patience(context.environment);
  if (!patience.ok()) return Fail(context, patience.status());
  absl::StatusOr<std::string> weaver = FindWeaver(context.environment);
  if (!weaver.ok()) return Fail(context, weaver.status());

  absl::StatusOr<std::string> plugin = ChoosePlugin(context, *weaver, *plan);
  if (!plugin.ok()) return Fail(context, plugin.status());

  RunDirectory run_directory(context.instance.run_directory);
  if (const absl::Status status = run_directory.Make(); !status.ok()) return Fail(context, status);
  absl::StatusOr<LockFile> lock = LockLaunch(context.instance);
  if (!lock.ok()) return Fail(context, lock.status());
  RemoveOldLaunchSockets(context.instance);
  const bool supervised = plan->supervised;
  if (const std::optional<int> exit_status = FindRunning(context, plan->state)) {
    (void)lock->ReleaseAndRemove();
    return *exit_status;
  }

  LaunchTraces traces = TracesOf(context.instance, plan->state, *std::move(weaver), run_directory.made());
  const absl::StatusOr<Outcome> outcome =
      Launch(context, *std::move(plan), std::move(traces), *std::move(plugin), *patience).Run();
  (void)lock->ReleaseAndRemove();
  if (!outcome.ok()) return Fail(context, outcome.status());
  if (outcome->pid == 0) {
    context.err << outcome->error << "\n";
    return outcome->exit_status;
  }
  run_directory.Keep();
  for (const std::string& warning : outcome->warnings) context.err << "WARNING: " << warning << "\n";
  context.out << outcome->pid << "\n";
  if (!supervised)
    if (const absl::Status status = NotifySystemd(context.environment, outcome->pid); !status.ok())
      context.err << "weave: " << status.message() << "\n";
  return kExitSuccess;
}

}  // namespace weave
