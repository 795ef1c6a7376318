#!/bin/bash
# A peer that hangs, that was killed, that is told to end while it waits for others; a command that is interrupted.
. "$(dirname "$0")/lib.sh"

HELPERS=()
more_clean_up() {
    local pid
    for pid in "${HELPERS[@]}"; do kill -KILL "$pid" 2>/dev/null; done
}
now_ms() { echo $((${EPOCHREALTIME/./} / 1000)); }

make_host host1
make_container web
make_container db

step "a stopped peer: commands say so, by its pid, and soon"
launch host1 --name ::1
pid=$(cat "$WORK/pid.host1")
expect 0 "" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
kill -STOP "$pid"
# tell_of_hung COMMAND...: as says, in a process of its own; they wait at the same time
tell_of_hung() {
    local begin took
    begin=$(now_ms)
    says 1 "$pid" on host1 weave "$@"
    took=$(($(now_ms) - begin))
    echo "weave $* of a hung peer: $took ms: $OUT"
    [ $took -lt 8000 ] || fail "weave $* took $took ms"
}
asking=()
for command in status ps bridge-type; do
    tell_of_hung $command &
    asking+=($!)
done
says 1 "$pid" on host1 weave launch --name ::1
for asked in "${asking[@]}"; do wait "$asked" || exit 1; done
expect 0 "weave script" sh -c "ip netns exec $TAG-host1 env WEAVE_API_SOCKET=$(run_dir host1)/peer.sock weave version"

step "stop ends it all the same"
supervisor=$(supervisor_of host1)
begin=$(now_ms)
says 0 "killing it" on host1 weave stop
echo "weave stop of a hung peer: $(($(now_ms) - begin)) ms: $OUT"
[[ $OUT == *"$pid"* ]] || fail "the warning does not name pid $pid: $OUT"
dead "$pid" || fail "pid $pid still runs"
dead "$supervisor" || fail "the supervisor still runs"
expect 2 "weave container is not running." on host1 weave status
launch host1 --name ::1
expect 0 "10.2.1.1/24" on host1 weave ps

ends_in_time() { # ends_in_time PID WHAT
    local begin took
    begin=$(now_ms)
    kill -TERM "$1"
    eventually 5 dead "$1" || fail "$2 has not ended"
    took=$(($(now_ms) - begin))
    echo "SIGTERM ended $2 after $took ms"
    [ $took -lt 3000 ] || fail "$2 took $took ms to end"
}

step "SIGTERM ends an idle peer"
ends_in_time "$(weaver_of host1)" "an idle peer"
eventually 5 sh -c "! ip netns exec $TAG-host1 env WEAVE_API_SOCKET=$(run_dir host1)/peer.sock weave status >/dev/null 2>&1"
[ ! -e "$(run_dir host1)/peer.sock" ] || fail "the socket stays"

step "SIGTERM ends a peer that waits for Docker"
hung_docker "$WORK/hung-docker.sock"
HELPERS+=("$HUNG_DOCKER")
eventually 10 sh -c "! ip netns pids $TAG-host1 | grep -q ." || fail "somebody still runs"
launch host1 --name ::1 --docker-api "unix://$WORK/hung-docker.sock"
for number in 1 2 3; do
    start host1 weave attach 10.2.1.9/24 web >"$WORK/attach.$number" 2>&1
    attaches[number]=$!
done
asks_docker() { [ -s "$WORK/hung-docker.sock.asked" ]; }
eventually 2 asks_docker || fail "nobody asks the hung Docker"
expect 0 "Service: router" on host1 weave status
ends_in_time "$(weaver_of host1)" "a peer that waits for Docker"
for number in 1 2 3; do
    status=0
    wait "${attaches[number]}" || status=$?
    [ $status = 1 ] || fail "an attach that lost its peer exited with $status: $(cat "$WORK/attach.$number")"
    [ "$(wc -l <"$WORK/attach.$number")" = 1 ] || fail "more than a line: $(cat "$WORK/attach.$number")"
done
echo "an attach that lost its peer: $(cat "$WORK/attach.1")"
eventually 10 sh -c "! ip netns pids $TAG-host1 | grep -q ." || fail "somebody still runs"

step "the socket of a dead peer"
launch host1 --name ::1
pid=$(weaver_of host1)
kill -KILL "$(supervisor_of host1)" "$pid"
eventually 5 dead "$pid" || fail "pid $pid still runs"
[ -S "$(run_dir host1)/peer.sock" ] || fail "no socket was left behind"
says 2 "weave container is not running." on host1 weave status
says 2 "weave container is not running." on host1 weave attach 10.2.1.9/24 "$(path_of db)"
expect_no_ping db 10.2.1.1
launch host1 --name ::1
expect 0 "10.2.1.1/24" on host1 weave ps

step "the supervisor alone is killed: the peer serves on and can be stopped"
kill -KILL "$(supervisor_of host1)"
expect 0 "10.2.1.1/24" on host1 weave ps
expect 0 "" on host1 weave stop
expect 2 "weave container is not running." on host1 weave status

step "attach is interrupted: done or not done, never half"
launch host1 --name ::1
consistent() { # the interface, its address and the peer's record: all or none
    local listed inside_has
    listed=$(on host1 weave ps "$(path_of db)" | grep -c 10.2.1.2/24) || true
    inside_has=$(inside db ip -o -4 addr show dev ethwe 2>/dev/null | grep -c 10.2.1.2/24) || true
    [ "$listed" = "$inside_has" ]
}
for delay in 0 0.002 0.005 0.01 0.02 0.04 0.08; do
    # A job of a script ignores SIGINT unless told otherwise.
    start host1 env --default-signal=INT weave attach 10.2.1.2/24 "$(path_of db)" >/dev/null 2>&1
    attach=$!
    sleep "$delay"
    kill -INT "$attach" 2>/dev/null || true
    wait "$attach" 2>/dev/null || true
    eventually 10 consistent || fail "interrupted after $delay s: $(on host1 weave ps) / $(inside db ip addr)"
    expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$(path_of db)"
    expect_ping db 10.2.1.1
    expect 0 "10.2.1.2/24" on host1 weave detach 10.2.1.2/24 "$(path_of db)"
done
left=$(links host1 | grep -c '^vethwepl') || true
[ "$left" = 1 ] || fail "interfaces stay: $(links host1)"
pass
