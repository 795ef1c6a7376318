#!/bin/bash
# How systemd learns that a peer is ready (contract A18-01): `weave launch --no-restart` tells the socket of NOTIFY_SOCKET
# which process is the main one; a launch that fails tells it nothing.
. "$(dirname "$0")/lib.sh"

make_host host1

listen_as_systemd() { # listen_as_systemd ADDRESS FILE: a datagram is one line of FILE, its newlines are blanks
    in_background host1 perl -MSocket -e '
        my ($address, $s) = $ARGV[0];
        $address =~ s/^@/\0/;
        socket($s, PF_UNIX, SOCK_DGRAM, 0) && bind($s, pack("S a*", AF_UNIX, $address)) or die "$ARGV[0]: $!";
        $| = 1;
        print "listening\n";
        while (1) { recv($s, my $text, 4096, 0); $text =~ s/\n/ /g; print "$text\n" }' "$1" >"$2" 2>&1 &
    listener=$!
    eventually 5 has listening cat "$2" || fail "no listener at $1: $(cat "$2")"
}
more_clean_up() { kill "${listener:-}" 2>/dev/null; }
received() { sed 1d "$WORK/messages"; }

for socket in "$WORK/notify" "@$TAG-notify"; do
    step "ready, told to ${socket/$TAG*/...}"
    listen_as_systemd "$socket" "$WORK/messages"
    W_ENV="NOTIFY_SOCKET=$socket"
    launch host1 --name ::1 --no-restart
    pid=$(cat "$WORK/pid.host1")
    has "READY=1" received || fail "told: $(received)"
    has "MAINPID=$pid" received || fail "told: $(received), want MAINPID=$pid"
    alive "$pid" || fail "$pid does not run"
    [ "$(cat "/proc/$pid/comm")" = weaver ] || fail "$pid is $(cat "/proc/$pid/comm")"
    [ "$pid" = "$(weaver_of host1)" ] || fail "$pid is not the peer that runs"
    answers host1 || fail "ready, and does not answer"
    [ "$(received | grep -c READY=1)" = 1 ] || fail "told more than once: $(received)"

    step "a second launch tells nothing"
    before=$(received)
    expect 3 "already running" on host1 weave launch --name ::1 --no-restart
    [ "$(received)" = "$before" ] || fail "told: $(received)"

    step "what ends with the peer"
    expect 0 "" on host1 weave stop
    dead "$pid" || fail "$pid stays"
    lacks READY=1 sed "1,$(($(wc -l <<<"$before") + 1))d" "$WORK/messages" || fail "told: $(received)"
    kill "$listener"
    wait "$listener" 2>/dev/null || true
    rm -f "$WORK/notify"
done

step "a launch that fails tells nothing"
expect 0 "" on host1 weave reset --force
listen_as_systemd "$WORK/notify" "$WORK/messages"
W_ENV="NOTIFY_SOCKET=$WORK/notify"
expect 1 "" on host1 weave launch --no-restart --name "no name"
expect 1 "" on host1 weave launch --no-restart --name ::1 --docker-bridge none0
expect 1 "" on host1 weave launch --no-restart --no-such-flag
on host1 ip link add weave type veth peer name other0
expect 1 "" on host1 weave launch --no-restart --name ::1
on host1 ip link del weave
lacks READY=1 received || fail "told: $(received)"
lacks MAINPID received || fail "told: $(received)"

step "a supervised launch tells nothing: systemd watches a process that this one is not"
launch host1 --name ::1
lacks READY=1 received || fail "told: $(received)"
weaver=$(weaver_of host1)
lacks NOTIFY_SOCKET tr '\0' '\n' <"/proc/$weaver/environ" || fail "the supervised peer knows of systemd"
expect 0 "" on host1 weave stop

step "a socket that nobody reads does not hinder the peer"
kill "$listener"
wait "$listener" 2>/dev/null || true
launch_alone() { on host1 weave launch --name ::1 --no-restart >"$WORK/out" 2>"$WORK/err"; }
launch_alone || fail "launch: $(cat "$WORK/err")"
alive "$(cat "$WORK/out")" || fail "launch printed \"$(cat "$WORK/out")\""
[ "$(wc -l <"$WORK/err")" = 1 ] && has "$WORK/notify" cat "$WORK/err" || fail "want one line about the socket: $(cat "$WORK/err")"
pass
