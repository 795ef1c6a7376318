#!/bin/bash
# Launches that cannot succeed, two at once, and launches killed half-way: a line that says why, and nothing half-made.
. "$(dirname "$0")/lib.sh"

HELPERS=()
more_clean_up() {
    local pid
    for pid in "${HELPERS[@]}"; do kill -KILL "$pid" 2>/dev/null; done
    umount "$WORK/readonly" 2>/dev/null
}

make_host host1
run=$(run_dir host1)
store=$(store_of host1)
# The directory of the store may stay, empty, as a log does.
mkdir -p "$(dirname "$store")"
remember_state

listen() { # listen ADDRESS PORT: takes the port on host1
    start host1 perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
        bind(S, sockaddr_in($ARGV[1], inet_aton($ARGV[0]))) or die $!; listen(S, 16); sleep 600' "$1" "$2" >/dev/null
    LISTENER=$!
    disown
    HELPERS+=("$LISTENER")
    eventually 10 sh -c "ip netns exec $TAG-host1 ss -ltn | grep -q ':$2 '" || fail "nobody listens on $2"
    remember_state
}
stop_listening() {
    kill "$LISTENER"
    eventually 5 dead "$LISTENER" || fail "the listener does not end"
    remember_state
}

step "the bridge's name belongs to another device"
on host1 ip link add weave type veth peer name weave-peer
remember_state
refuses 1 '"weave"' on host1 weave launch --name ::1
on host1 ip link del weave
on host1 ip link add weave type vxlan id 7 dstport 4789 dev lo 2>/dev/null && {
    remember_state
    refuses 1 '"weave"' on host1 weave launch --name ::1
    on host1 ip link del weave
}
on host1 ip link add other type veth peer name other-peer
remember_state
refuses 1 '"other"' on host1 weave launch --name ::1 --weave-bridge other
on host1 ip link del other
remember_state

step "a port is taken"
listen 127.0.0.1 6784
refuses 1 "--http-addr: " on host1 weave launch --name ::1
[[ $OUT == *127.0.0.1:6784* ]] || fail "the line does not name the address: $OUT"
stop_listening
listen 127.0.0.1 6782
refuses 1 "--status-addr: " on host1 weave launch --name ::1
[[ $OUT == *127.0.0.1:6782* ]] || fail "the line does not name the address: $OUT"
stop_listening
refuses 1 "--http-addr: " on host1 weave launch --name ::1 --http-addr 192.0.2.1:6784

step "paths that cannot be"
mkdir -p "$run"
echo precious >"$run/peer.sock"
remember_state
refuses 1 "$run/peer.sock exists and is not a socket" on host1 weave launch --name ::1
[ "$(cat "$run/peer.sock")" = precious ] || fail "the file at the socket's path is gone"
rm "$run/peer.sock"
rmdir "$run"
remember_state
echo precious >"$WORK/file"
refuses 1 "$WORK/file" on host1 weave launch --name ::1 --api-socket "$WORK/file/weave/peer.sock"
refuses 1 "$WORK/file" on host1 weave launch --name ::1 --db-prefix "$WORK/file/weave"
[ "$(cat "$WORK/file")" = precious ] || fail "a launch changed a file that is none of its own"
mkdir "$WORK/storedata.db"
refuses 1 "$WORK/storedata.db" on host1 weave launch --name ::1 --db-prefix "$WORK/store"
rm -rf "$WORK"/storedata.db*

step "directories that cannot be written to"
mkdir "$WORK/readonly"
mount -t tmpfs -o ro,size=1m tmpfs "$WORK/readonly"
refuses 1 "$WORK/readonly" on host1 weave launch --name ::1 --db-prefix "$WORK/readonly/weave"
refuses 1 "$WORK/readonly" on host1 weave launch --name ::1 --api-socket "$WORK/readonly/weave/peer.sock"
umount "$WORK/readonly"
in_private_mounts() { # in_private_mounts SETUP COMMAND...
    local setup=$1
    shift
    on host1 unshare --mount --propagation private sh -c "$setup && exec \"\$@\"" sh "$@"
}
refuses 1 "/var/log/weave" in_private_mounts "mount -t tmpfs -o ro tmpfs /var/log" weave launch --name ::1

step "the host lacks something"
refuses 1 '--docker-bridge: there is no device "docker9"' on host1 weave launch --name ::1 --docker-bridge docker9
on host1 ip link add docker8 type bridge
remember_state
refuses 1 'device "docker8" has no IPv4 address' on host1 weave launch --name ::1 --docker-bridge docker8
on host1 ip link del docker8
remember_state
refuses 1 'IPTABLES_BACKEND' on host1 env IPTABLES_BACKEND=foo weave launch --name ::1
[[ $OUT == *foo* ]] || fail "the line does not name the value: $OUT"
# Neither is found by PATH alone, so they are hidden.
refuses 1 "iptables" in_private_mounts 'mount -t tmpfs tmpfs /usr/sbin && { [ -L /sbin ] || mount -t tmpfs tmpfs /sbin; }' \
    "$BIN/weave" launch --name ::1
refusing=true
for path in /usr/sbin/xtables-nft-multi /usr/sbin/xtables-legacy-multi; do
    [ ! -e $path ] || refusing+=" && mount --bind /bin/false $path"
done
refuses 1 "iptables" in_private_mounts "$refusing" weave launch --name ::1

step "a store of Weave Net 2.8"
head -c 4096 /dev/zero >"$store"
printf '\xed\xda\x0c\xed' | dd of="$store" bs=1 seek=16 conv=notrunc status=none
before=$(sha256sum "$store")
remember_state
refuses 1 "$store" on host1 weave launch --name ::1
[[ $OUT == *2.8* ]] || fail "the line does not say what the file is: $OUT"
[ "$(sha256sum "$store")" = "$before" ] || fail "the file of Weave Net 2.8 was changed"
rm -f "$store"*
remember_state

step "two launches at once"
for round in 1 2 3; do
    statuses=()
    for number in 1 2; do
        start host1 weave launch --name ::1 >"$WORK/launch.$number" 2>&1
        pids[number]=$!
    done
    for number in 1 2; do
        status=0
        wait "${pids[number]}" || status=$?
        statuses+=("$status")
    done
    case "${statuses[*]}" in
        "0 1" | "0 3") winner=1 loser=2 ;;
        "1 0" | "3 0") winner=2 loser=1 ;;
        *) fail "round $round: two launches at once ended with ${statuses[*]}: $(cat "$WORK"/launch.*)" ;;
    esac
    grep -qE "another 'weave launch' or 'weave reset' is under way \(pid [1-9]|already running \(pid [1-9]" "$WORK/launch.$loser" ||
        fail "round $round: the second launch said: $(cat "$WORK/launch.$loser")"
    [ "$(wc -l <"$WORK/launch.$loser")" = 1 ] || fail "round $round: more than a line: $(cat "$WORK/launch.$loser")"
    grep -qE '^[0-9]+$' "$WORK/launch.$winner" || fail "the first launch said: $(cat "$WORK/launch.$winner")"
    expect 0 "Service: router" on host1 weave status
    expect 3 "already running" on host1 weave launch --name ::1
    expect 0 "" on host1 weave reset
done

step "another peer has the control address"
mkdir -p "$(dirname "$store")"
launch host1 --name ::1
remember_state
refuses 1 "Weave Net is already running" on host1 weave launch --name ::2 --api-socket "$WORK/second/peer.sock" \
    --db-prefix "$WORK/second"
expect 0 "" on host1 weave reset

step "launches killed half-way"
mkdir -p "$(dirname "$store")"
remember_state
nothing_runs() {
    [ -z "$(ip netns pids "$TAG-host1")" ] && [ "$(links host1)" = lo ] && [ -z "$(rules host1)" ]
}
answers_or_is_gone() { on host1 weave status >/dev/null 2>&1 || nothing_runs; }
for delay in 0 0.01 0.03 0.06 0.1 0.2 0.3 0.5; do
    start host1 weave launch --name ::1 >"$WORK/launch.killed" 2>&1
    pid=$!
    sleep "$delay"
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    # A peer that answers now may be about to be ended: settled is what stays so.
    settled() { answers_or_is_gone && sleep 0.5 && answers_or_is_gone; }
    eventually 15 settled || fail "killed after $delay s: $(state)"
    if on host1 weave status >/dev/null 2>&1; then
        echo "killed after $delay s: the peer stays"
        expect 0 "" on host1 weave reset
    else
        echo "killed after $delay s: nothing stays"
        launch host1 --name ::1
        expect 0 "" on host1 weave reset
    fi
    nothing_runs || fail "after a launch killed after $delay s and a reset: $(state)"
done

mkdir -p "$(dirname "$store")"
remember_state
bridge_is_there() { has weave links host1; }
slow_packet_filter
launch_and_hold() { # a launch whose peer has made its bridge and is not ready: $LAUNCH and $PEER
    hold_packet_filter
    W_ENV="PATH=$SLOW_PATH" start host1 weave launch --name ::1 >"$WORK/launch.held" 2>&1
    LAUNCH=$!
    eventually 10 bridge_is_there || fail "no bridge: $(cat "$WORK/launch.held")"
    PEER=$(weaver_of host1) && ! dead "$LAUNCH" || fail "the peer was ready at once: $(cat "$WORK/launch.held")"
}

step "a launch is killed while its peer starts: the bridge goes again, and all files"
launch_and_hold
kill -KILL "$LAUNCH"
go_on_filtering
wait "$LAUNCH" 2>/dev/null || true
expect_state_as_before "a launch that was killed"
expect 1 "weave container is not present" on host1 weave status

step "a peer is killed while it starts: the same, and launch says so"
launch_and_hold
kill -STOP "$PEER" # with what it runs, which would go on without it
pkill -KILL -P "$PEER"
kill -KILL "$PEER"
go_on_filtering
status=0
wait "$LAUNCH" || status=$?
[ "$status" = 1 ] || fail "a launch whose peer was killed exited with $status: $(cat "$WORK/launch.held")"
grep -q "has died (signal 9)" "$WORK/launch.held" || fail "a launch whose peer was killed said: $(cat "$WORK/launch.held")"
[ "$(wc -l <"$WORK/launch.held")" = 1 ] || fail "more than a line: $(cat "$WORK/launch.held")"
expect_state_as_before "a peer that was killed while it started"
pass
