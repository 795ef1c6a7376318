#!/bin/bash
# Who starts a peer again, how fast, and who does not (contract A2-26, A3-33, A3-36).
. "$(dirname "$0")/lib.sh"

make_host host1
make_container web
make_container db
rules_before=$(rules host1)
links_before=$(links host1)

another_weaver() { # another_weaver PID
    local now
    now=$(weaver_of host1) && [ -n "$now" ] && [ "$now" != "$1" ] && answers host1
}
kill_weaver() { # kill_weaver: -9, and waits for its successor
    local pid
    pid=$(weaver_of host1)
    kill -KILL "$pid"
    eventually 30 another_weaver "$pid" || fail "the peer was not started again"
}
into_backoff() { # kills the peer until its supervisor waits long enough for a test: 1.6 s or more
    local pid
    until logged host1 "starting the peer again in=1.6s"; do
        pid=$(weaver_of host1) && [ -n "$pid" ] && kill -KILL "$pid"
        eventually 10 next_or_waiting "$pid" || fail "the supervisor neither starts the peer nor waits"
    done
    dead "$pid" || fail "the peer $pid lives"
}
next_or_waiting() { logged host1 "starting the peer again in=1.6s" || another_weaver "$1"; }
nobody() { [ -z "$(weaver_of host1)" ] && [ -z "$(supervisor_of host1)" ]; }

step "a supervised peer comes back, later each time"
launch host1 --name ::1
supervisor=$(supervisor_of host1)
alive "$supervisor" || fail "no supervisor"
[ "$(cat "/proc/$supervisor/comm")" = weave-supervise ] || fail "the supervisor is $(cat "/proc/$supervisor/comm")"
[ "$(weaver_of host1)" = "$(cat "$WORK/pid.host1")" ] || fail "launch printed another pid than the peer's"
expect 0 "" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
expect 0 "" on host1 weave attach 10.2.1.2/24 "$(path_of db)"
for wait in 100ms 200ms 400ms; do
    kill_weaver
    logged host1 "the peer ended" || fail "no word of the end"
    logged host1 "starting the peer again in=$wait" || fail "no back-off of $wait"
    has 10.2.1.1/24 on host1 weave ps || fail "the peer forgot a container: $(on host1 weave ps)"
    expect_ping web 10.2.1.2
done
[ "$(supervisor_of host1)" = "$supervisor" ] || fail "another supervisor"
expect 3 "already running" on host1 weave launch

step "stop ends a peer that is waiting to be started again"
into_backoff
expect 1 "is about to start the peer again" on host1 weave launch
expect 0 "" on host1 weave stop
eventually 5 nobody || fail "peer $(weaver_of host1) or supervisor $(supervisor_of host1) stays"
dead "$supervisor" || fail "the supervisor stays"
expect 2 "weave container is not running." on host1 weave status
sleep 2 # longer than the back-off was
nobody || fail "the peer was started after stop"
expect_ping web 10.2.1.2

step "reset of a peer that is waiting to be started again"
rm "$(log_of host1)"
launch host1 --name ::1
has 10.2.1.1/24 on host1 weave ps || fail "the peer forgot a container: $(on host1 weave ps)"
supervisor=$(supervisor_of host1)
into_backoff
expect 1 "weave is not running; unable to remove from cluster" on host1 weave reset
eventually 30 answers host1 || fail "a refused reset kept the peer from coming back"
rm "$(log_of host1)" # the supervisor goes on in the old one
kill -KILL "$(weaver_of host1)"
expect 0 "" on host1 weave reset --force
eventually 5 nobody || fail "peer $(weaver_of host1) or supervisor $(supervisor_of host1) stays"
dead "$supervisor" || fail "the supervisor stays after reset"
[ "$(links host1)" = "$links_before" ] || fail "links stay: $(links host1)"
[ "$(rules host1)" = "$rules_before" ] || fail "rules stay: $(rules host1)"
[ ! -e "$(store_of host1)" ] || fail "the store stays"
expect 1 "weave container is not present" on host1 weave status

step "the supervisor dies: the peer lives, and stop ends it"
launch host1 --name ::1
expect 0 "" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
expect 0 "" on host1 weave attach 10.2.1.2/24 "$(path_of db)"
supervisor=$(supervisor_of host1)
weaver=$(weaver_of host1)
kill -KILL "$supervisor"
eventually 5 dead "$supervisor" || fail "the supervisor survived kill -9"
alive "$weaver" || fail "the peer died with its supervisor"
expect 0 "Service: router" on host1 weave status
expect 0 "" on host1 weave expose 10.2.1.254/24
expect_ping web 10.2.1.254
expect 3 "already running" on host1 weave launch
expect 0 "" on host1 weave stop
dead "$weaver" || fail "the peer $weaver stays after stop"
launch host1 --name ::1
alive "$(supervisor_of host1)" || fail "no supervisor after the next launch"

step "a supervisor that is asked to end takes the peer along"
supervisor=$(supervisor_of host1)
weaver=$(weaver_of host1)
kill -TERM "$supervisor"
eventually 10 nobody || fail "peer $(weaver_of host1) or supervisor $(supervisor_of host1) stays"
dead "$weaver" || fail "the peer stays"

step "a peer that is asked to end is not started again, and containers keep talking"
for signal in TERM INT; do
    launch host1 --name ::1
    weaver=$(weaver_of host1)
    start=${EPOCHREALTIME/./}
    kill "-$signal" "$weaver"
    eventually 5 dead "$weaver" || fail "the peer ignores SIG$signal"
    echo "   SIG$signal: gone after $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
    eventually 5 nobody || fail "peer $(weaver_of host1) or supervisor $(supervisor_of host1) stays"
    [ ! -e "$(run_dir host1)/peer.sock" ] || fail "the API socket stays"
    has weave links host1 || fail "the bridge went with the peer"
    expect_ping web 10.2.1.2
done

step "--no-restart: nobody starts it again"
launch host1 --name ::1 --no-restart
weaver=$(weaver_of host1)
[ -z "$(supervisor_of host1)" ] || fail "a supervisor holds its lock"
parent=$(awk '/^PPid:/ { print $2 }' "/proc/$weaver/status")
[ "$(cat "/proc/$parent/comm")" != weave-supervise ] || fail "the peer's parent is a supervisor"
kill -KILL "$weaver"
eventually 5 dead "$weaver" || fail "the peer survived kill -9"
expect 2 "weave container is not running." on host1 weave status
sleep 1 # ten times the first back-off
nobody || fail "the peer was started again"
expect_ping web 10.2.1.2
launch host1 --name ::1 --no-restart
has 10.2.1.1/24 on host1 weave ps || fail "the peer forgot a container: $(on host1 weave ps)"
expect 0 "" on host1 weave stop
nobody || fail "the peer stays after stop"
pass
