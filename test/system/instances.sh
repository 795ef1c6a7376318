#!/bin/bash
# Several peers that share one file system, each on its own host: a command acts on the one it names, by WEAVE_API_SOCKET,
# WEAVE_CONTAINER_NAME or --api-socket, and on no other (contract A1-11).
. "$(dirname "$0")/lib.sh"

for host in x y z; do make_host "$host"; done
for container in x1 x2 y1 z1; do make_container "$container"; done

export WEAVE_NO_PLUGIN=1 # its sockets are the machine's
# One word per way to name an instance: $x, $y and $z start a command on their hosts.
x=(on x weave)
y=(ip netns exec "$TAG-y" env "WEAVE_CONTAINER_NAME=$TAG-y" weave)
z=(ip netns exec "$TAG-z" weave --api-socket "$(run_dir z)/peer.sock")
name_of() { "$@" status 2>&1 | sed -n 's/^ *Name: \(.*\)(.*)$/\1/p'; }

step "three at the same time"
x_pid=$("${x[@]}" launch --name ::1) || fail "launch x"
y_pid=$("${y[@]}" launch --name ::2) || fail "launch y"
z_pid=$("${z[@]}" launch --name ::3) || fail "launch z"
for pid in "$x_pid" "$y_pid" "$z_pid"; do alive "$pid" || fail "no process \"$pid\""; done
[ "$(name_of "${x[@]}")" = 00:00:00:00:00:01 ] || fail "x is $(name_of "${x[@]}")"
[ "$(name_of "${y[@]}")" = 00:00:00:00:00:02 ] || fail "y is $(name_of "${y[@]}")"
[ "$(name_of "${z[@]}")" = 00:00:00:00:00:03 ] || fail "z is $(name_of "${z[@]}")"
for host in x y z; do
    [ -f "$(store_of "$host")" ] || fail "$host has no store"
    [ -f "$(log_of "$host")" ] || fail "$host has no log"
    [ -S "$(run_dir "$host")/peer.sock" ] || fail "$host has no socket"
done

step "--api-socket before WEAVE_API_SOCKET before WEAVE_CONTAINER_NAME"
expect 0 "Name: 00:00:00:00:00:03" env "WEAVE_API_SOCKET=$(run_dir x)/peer.sock" "WEAVE_CONTAINER_NAME=$TAG-y" \
    weave --api-socket "$(run_dir z)/peer.sock" status
expect 0 "Name: 00:00:00:00:00:03" env "WEAVE_API_SOCKET=$(run_dir x)/peer.sock" \
    weave status --api-socket="$(run_dir z)/peer.sock"
expect 0 "Name: 00:00:00:00:00:01" env "WEAVE_API_SOCKET=$(run_dir x)/peer.sock" "WEAVE_CONTAINER_NAME=$TAG-y" weave status
expect 1 "weave container is not present" env "WEAVE_CONTAINER_NAME=$TAG-nobody" weave status
expect 1 "without slashes" env "WEAVE_CONTAINER_NAME=../$TAG-x" weave status

step "the same addresses on each, without meeting"
expect 0 "" "${x[@]}" attach 10.7.1.1/24 "$(path_of x1)"
expect 0 "" "${x[@]}" attach 10.7.1.2/24 "$(path_of x2)"
expect 0 "" "${y[@]}" attach 10.7.1.1/24 "$(path_of y1)"
expect 0 "" "${z[@]}" attach 10.7.1.1/24 "$(path_of z1)"
expect_ping x1 10.7.1.2
expect_no_ping y1 10.7.1.2
[ "$("${y[@]}" ps | wc -l)" = 1 ] || fail "y's containers: $("${y[@]}" ps)"
expect 0 "" "${y[@]}" expose 10.7.1.254/24
lacks 10.7.1.254 on x ip addr show dev weave || fail "x was exposed too"
lacks weave:expose "${x[@]}" ps || fail "x lists y's address"

step "a container has one peer"
expect 1 "ethwe" "${y[@]}" attach 10.7.1.9/24 "$(path_of x1)"
expect_ping x1 10.7.1.2
[ "$("${x[@]}" ps "$(path_of x1)" | grep -c 10.7.1.1/24)" = 1 ] || fail "x's containers: $("${x[@]}" ps)"

step "launch of an instance that runs elsewhere, and of a second one on the same host"
expect 3 "already running" ip netns exec "$TAG-z" env "WEAVE_CONTAINER_NAME=$TAG-y" weave launch
alive "$y_pid" || fail "y died"
expect 1 "already running" ip netns exec "$TAG-x" env "WEAVE_CONTAINER_NAME=$TAG-second" weave launch
[ ! -e "/run/$TAG-second" ] && [ ! -e "/var/lib/$TAG-second/weavedata.db" ] || fail "a refused launch left files"
alive "$x_pid" || fail "x died"

step "a second one on the same host, with ports and a bridge of its own"
second=(ip netns exec "$TAG-x" env "WEAVE_CONTAINER_NAME=$TAG-second" WEAVE_PORT=7000
    WEAVE_HTTP_ADDR=127.0.0.1:7784 WEAVE_STATUS_ADDR=127.0.0.1:7782 weave)
asked() { on x curl -sf "http://127.0.0.1:$1/report?format=%7B%7B.Router.Name%7D%7D"; } # who answers at a port
second_pid=$("${second[@]}" launch --name ::4 --weave-bridge second) || fail "launch of a second peer: $second_pid"
[ "$(name_of "${second[@]}")" = 00:00:00:00:00:04 ] || fail "the second is $(name_of "${second[@]}")"
for port in 7784 7782; do [ "$(asked $port)" = 00:00:00:00:00:04 ] || fail "at $port answers $(asked $port)"; done
for port in 6784 6782; do [ "$(asked $port)" = 00:00:00:00:00:01 ] || fail "at $port answers $(asked $port)"; done
expect 0 "" "${second[@]}" reset
dead "$second_pid" || fail "the second stays"
alive "$x_pid" || fail "x died"
expect_ping x1 10.7.1.2

step "stop, crash and reset of one leave the others alone"
expect 0 "" "${y[@]}" stop
dead "$y_pid" || fail "y stays"
expect 2 "weave container is not running." "${y[@]}" status
kill -KILL "$z_pid"
again() { [ "$(name_of "${z[@]}")" = 00:00:00:00:00:03 ]; }
eventually 20 again || fail "z is not started again"
[ "$(name_of "${x[@]}")" = 00:00:00:00:00:01 ] || fail "x is $(name_of "${x[@]}")"
alive "$x_pid" || fail "x died"
expect 0 "" "${z[@]}" reset
expect 1 "weave container is not present" "${z[@]}" status
[ ! -e "$(run_dir z)" ] && [ ! -e "$(store_of z)" ] || fail "z's files stay"
[ -f "$(store_of x)" ] && [ -f "$(store_of y)" ] || fail "the reset of z took the store of another"
alive "$x_pid" || fail "x died"
expect_ping x1 10.7.1.2
y_pid=$("${y[@]}" launch --name ::2) || fail "launch y again"
has 10.7.1.254/24 "${y[@]}" ps || fail "y forgot: $("${y[@]}" ps)"

step "all at once"
for instance in x y z; do
    declare -n command=$instance
    ("${command[@]}" reset --force && "${command[@]}" launch --name ::9 && "${command[@]}" stop && "${command[@]}" launch --name ::9) \
        >"$WORK/out.$instance" 2>&1 &
done
for job in $(jobs -p); do wait "$job" || fail "one failed: $(cat "$WORK"/out.*)"; done
for instance in x y z; do
    declare -n command=$instance
    [ "$(name_of "${command[@]}")" = 00:00:00:00:00:09 ] || fail "$instance: $(cat "$WORK/out.$instance")"
    [ "$(weaver_of "$instance")" = "$(tail -1 "$WORK/out.$instance")" ] || fail "$instance: $(cat "$WORK/out.$instance")"
done
pass
