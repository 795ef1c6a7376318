#include "host/firewall_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace weave {
namespace {

// Between checks: a quarter of a worker at most, and a program that fights us is answered once a second.
constexpr int kRestPerWork = 4;
constexpr Duration kMaxRest = absl::Seconds(1);

// Without announcements from the kernel, as often as 2.8 looked for its canary (contract A3-35).
constexpr Duration kBlindCheck = absl::Seconds(10);

struct Outcome {
  absl::Status status;
  FirewallDiff found;
  bool mended = false;
  Duration took;
};

}  // namespace

class FirewallKeeper::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(EventLoop& loop, WorkerPool& workers, Logger& log, PacketFilter filter, Options options)
      : loop_(loop), workers_(workers), log_(log), filter_(std::move(filter)), options_(std::move(options)) {}

  void SetRules(RuleSet rules, Done done) {
    if (check_timer_ == nullptr) Begin();
    base_ = std::move(rules);
    Want(std::move(done));
  }

  void SetIpsecPaths(std::vector<IpsecPath> paths, Done done) {
    RuleSet checked;
    if (absl::Status usable = AddIpsecRules(paths, checked); !usable.ok()) {
      if (done) done(usable);
      return;
    }
    ipsec_paths_ = std::move(paths);
    Want(std::move(done));
  }

  void Close() {
    closed_ = true;
    watch_.reset();
    check_timer_.reset();
    Answer(waiting_, absl::CancelledError("packet filter: shutting down"));
    Answer(asked_, absl::CancelledError("packet filter: shutting down"));
  }

  std::uint64_t reapplied_count() const { return reapplied_count_; }

 private:
  using Answers = std::vector<Done>;

  void Want(Done done) {
    if (done) waiting_.push_back(std::move(done));
    if (!base_) return;
    RuleSet rules = *base_;
    CHECK(AddIpsecRules(ipsec_paths_, rules).ok());
    rules_ = std::make_shared<const RuleSet>(std::move(rules));
    wanted_anew_ = true;
    placed_ = false;
    Work();
  }

  static void Answer(Answers& answers, const absl::Status& status) {
    for (Done& done : std::exchange(answers, {})) done(status);
  }

  // Watches before the first Apply: a change in between is seen.
  void Begin() {
    check_timer_ = loop_.MakeTimer([this] { Work(); });
    auto watch = PacketFilterWatch::Start(loop_, workers_, filter_.backend(), [this] { OnChange(); });
    if (watch.ok()) {
      watch_ = *std::move(watch);
      return;
    }
    log_.Error("cannot watch the packet filter, looking at it now and then instead",
               {{"error", watch.status().ToString()}, {"every", absl::FormatDuration(kBlindCheck)}});
  }

  void OnChange() {
    if (running_) {
      changed_ = true;
    } else {
      CheckAt(failing_ ? loop_.now().monotonic + options_.retry_first : rest_until_);
    }
  }

  void CheckAt(MonotonicTime time) {
    if (check_timer_->armed() && check_at_ <= time) return;
    check_at_ = time;
    check_timer_->Arm(time);
  }

  bool MayMove() const { return !last_move_ || loop_.now().monotonic - *last_move_ >= options_.displaced_pause; }

  // Starts the one worker task: to bring in new rules, or to look and mend.
  void Work() {
    if (running_ || closed_) return;
    running_ = true;
    changed_ = false;
    check_timer_->Disarm();
    asked_ = std::exchange(waiting_, {});
    wanted_anew_ = false;
    const bool anew = !placed_;
    workers_.Submit(
        [&loop = loop_, weak = weak_from_this(), filter = filter_, rules = rules_, anew, may_move = MayMove()] {
          Outcome outcome = Mend(filter, *rules, anew, may_move);
          loop.Post([weak, outcome = std::move(outcome), anew] {
            if (std::shared_ptr<Impl> impl = weak.lock(); impl != nullptr) impl->OnOutcome(outcome, anew);
          });
        });
  }

  // In a worker.
  static Outcome Mend(const PacketFilter& filter, const RuleSet& rules, bool anew, bool may_move) {
    const MonotonicTime start = MonotonicNow();
    Outcome outcome;
    absl::StatusOr<FirewallDiff> found = anew ? filter.Apply(rules) : filter.Verify(rules);
    if (found.ok()) outcome.found = *found;
    const bool leave = anew || !found.ok() || found->Matches() || (found->OnlyDisplaced() && !may_move);
    outcome.mended = anew && found.ok() && !found->Matches();
    if (!leave) {
      const absl::StatusOr<FirewallDiff> applied = filter.Apply(rules);
      outcome.mended = applied.ok() && !applied->Matches();
      outcome.status = applied.status();
    } else {
      outcome.status = found.status();
    }
    outcome.took = MonotonicNow() - start;
    return outcome;
  }

  void OnOutcome(const Outcome& outcome, bool anew) {
    if (closed_) return;
    running_ = false;
    const MonotonicTime now = loop_.now().monotonic;
    rest_until_ = now + (outcome.mended && !anew ? kMaxRest : std::min(kMaxRest, outcome.took * kRestPerWork));
    if (outcome.status.ok()) {
      OnSuccess(outcome, anew, now);
    } else {
      OnFailure(outcome.status, now);
    }
    // The callers' callbacks come last: they may set new rules or end us.
    std::shared_ptr<Impl> self = shared_from_this();
    Answers asked = std::exchange(asked_, {});
    Report(outcome.status, std::exchange(recovered_, false));
    Answer(asked, outcome.status);
    if (!closed_ && wanted_anew_) Work();
  }

  void OnSuccess(const Outcome& outcome, bool anew, MonotonicTime now) {
    placed_ = !wanted_anew_;
    recovered_ = std::exchange(failing_, false);
    retry_ = options_.retry_first;
    if (recovered_) log_.Info("packet filter rules are in place again");
    if (outcome.mended && !anew) {
      ++reapplied_count_;
      log_.Warning("packet filter rules restored after a change by another program",
                   {{"found", outcome.found.Summary()}, {"restored_count", reapplied_count_}});
    }
    const bool displaced = outcome.found.OnlyDisplaced();
    if (displaced && outcome.mended) last_move_ = now;
    if (displaced && !outcome.mended) CheckAt(*last_move_ + options_.displaced_pause);
    // Our own change is announced too; that check finds nothing and is the last.
    if (changed_) CheckAt(rest_until_);
    if (watch_ == nullptr) CheckAt(now + kBlindCheck);
  }

  void OnFailure(const absl::Status& status, MonotonicTime now) {
    failing_ = true;
    log_.Error("packet filter rules could not be applied",
               {{"error", status.ToString()}, {"retry_in", absl::FormatDuration(retry_)}});
    CheckAt(now + retry_);
    retry_ = std::min(retry_ * 2, options_.retry_last);
  }

  void Report(const absl::Status& status, bool recovered) {
    if (!status.ok() && options_.on_failure) options_.on_failure(status);
    if (recovered && options_.on_recovery) options_.on_recovery();
  }

  EventLoop& loop_;
  WorkerPool& workers_;
  Logger& log_;
  const PacketFilter filter_;
  Options options_;

  std::optional<RuleSet> base_;           // of SetRules
  std::vector<IpsecPath> ipsec_paths_;    // of SetIpsecPaths
  std::shared_ptr<const RuleSet> rules_;  // both
  bool wanted_anew_ = false;              // rules_ changed since the last task began
  bool placed_ = false;                   // rules_ have been in place once
  Answers waiting_;                       // callers since then
  Answers asked_;                         // callers the running task answers
  bool running_ = false;
  bool changed_ = false;  // the watch spoke while a task was running
  bool failing_ = false;
  bool recovered_ = false;
  bool closed_ = false;
  Duration retry_ = options_.retry_first;
  MonotonicTime rest_until_;
  MonotonicTime check_at_;  // when check_timer_ is armed
  std::optional<MonotonicTime> last_move_;
  std::uint64_t reapplied_count_ = 0;
  std::unique_ptr<Timer> check_timer_;
  std::unique_ptr<PacketFilterWatch> watch_;
};

FirewallKeeper::FirewallKeeper(EventLoop& loop, WorkerPool& workers, Logger& log, PacketFilter filter, Options options)
    : impl_(std::make_shared<Impl>(loop, workers, log, std::move(filter), std::move(options))) {}

FirewallKeeper::~FirewallKeeper() { impl_->Close(); }

void FirewallKeeper::SetRules(RuleSet rules, Done done) { impl_->SetRules(std::move(rules), std::move(done)); }

void FirewallKeeper::SetIpsecPaths(std::vector<IpsecPath> paths, Done done) {
  impl_->SetIpsecPaths(std::move(paths), std::move(done));
}

std::uint64_t FirewallKeeper::reapplied_count() const { return impl_->reapplied_count(); }

}  // namespace weave
