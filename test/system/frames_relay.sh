#!/bin/bash
# A line of three hosts whose ends have no connection: frames pass through the middle (contract A7-01 to A7-04, A7-06).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for n in 1 2 3; do make_mesh_host "host$n"; done
launch_peer host2 --no-discovery
launch_peer host1 --no-discovery 10.99.0.2
launch_peer host3 --no-discovery 10.99.0.2
line() { [ "$(known_by host1 | grep -c ' established$')" = 4 ] && agree host1 host2 host3; }
eventually 30 line || fail "no line: $(tell_of host1 host2 host3)"
for n in 1 2 3; do
    make_container "c$n"
    on "host$n" weave attach "10.32.$n.1/16" "$(path_of "c$n")" >/dev/null
done

step "the ends reach each other through the middle"
expect_ping c1 10.32.3.1
expect_ping c3 10.32.1.1
expect_ping c2 10.32.1.1

# heard NAME: what arrived in a container for port 5000, one line each
listen_in() { # listen_in NAME
    start_in "$1" perl -MSocket -e '$| = 1; socket(S, PF_INET, SOCK_DGRAM, 0);
        setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1); bind(S, sockaddr_in(5000, INADDR_ANY)) or die $!;
        setsockopt(S, 0, 35, inet_aton("239.1.2.3") . inet_aton($ARGV[0])) or die $!;
        print "ready\n"; alarm 120; while (recv(S, my $b, 100, 0)) { print "$b\n" }' "10.32.${1#c}.1" >"$WORK/heard.$1"
}
start_in() {
    local name=$1
    shift
    in_background "$name" "$@" &
    LISTENERS+=($!)
}
LISTENERS=()
more_clean_up() { [ ${#LISTENERS[@]} = 0 ] || kill "${LISTENERS[@]}" 2>/dev/null; }
say_in() { # say_in NAME ADDRESS WORD
    inside "$1" perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); setsockopt(S, SOL_SOCKET, SO_BROADCAST, 1);
        setsockopt(S, 0, 32, inet_aton($ARGV[2])); send(S, $ARGV[1], 0, sockaddr_in(5000, inet_aton($ARGV[0]))) or die $!' \
        "$2" "$3" "10.32.${1#c}.1"
}
heard() { [ "$(grep -cx -- "$2" "$WORK/heard.$1")" = 1 ]; } # heard NAME WORD: once

step "broadcast and multicast reach everybody, once"
for n in 1 2 3; do listen_in "c$n"; done
for n in 1 2 3; do eventually 10 heard "c$n" ready || fail "c$n does not listen"; done
for n in 1 2 3; do
    say_in "c$n" 10.32.255.255 "broadcast$n"
    say_in "c$n" 239.1.2.3 "multicast$n"
    for m in 1 2 3; do
        [ "$m" != "$n" ] || continue
        eventually 10 heard "c$m" "broadcast$n" || fail "c$m heard: $(cat "$WORK/heard.c$m")"
        eventually 10 heard "c$m" "multicast$n" || fail "c$m heard: $(cat "$WORK/heard.c$m")"
    done
done
sleep 0.5 # what comes twice comes late
for n in 1 2 3; do
    for word in broadcast multicast; do
        for m in 1 2 3; do
            [ "$m" = "$n" ] || heard "c$m" "$word$n" || fail "c$m heard $word$n more than once: $(cat "$WORK/heard.c$m")"
        done
    done
done

step "a MAC address that moves takes its traffic along"
inside c1 ip link set ethwe address 02:00:00:00:00:77
expect_ping c1 10.32.3.1
expect_ping c3 10.32.1.1
on host1 weave detach "$(path_of c1)" >/dev/null
make_container moved
on host2 weave attach 10.32.1.1/16 "$(path_of moved)" >/dev/null
inside moved ip link set ethwe address 02:00:00:00:00:77
sleep 0.6 # longer than the address must have been quiet where it was
inside moved ping -c 1 -W 2 10.32.3.1 >/dev/null 2>&1 || true # the first frame
inside c3 ping -c 1 -W 1 10.32.1.1 >/dev/null || fail "c3 does not reach the container that moved"
eventually 5 logged host2 'a MAC address moved' || fail "the move is not logged"
on host2 weave detach "$(path_of moved)" >/dev/null
on host1 weave attach 10.32.1.1/16 "$(path_of c1)" >/dev/null
expect_ping c1 10.32.3.1

step "10 kB through a bottleneck of 700 bytes"
on host2 ip link set eth0 mtu 700
on host2 weave stop
launch_peer host2 --no-discovery
eventually 60 line || fail "no line: $(tell_of host1 host2 host3)"
# 700 less the overhead; a veth lets a VLAN tag's four bytes more through.
narrow() { [[ $(connections "$1") =~ mtu=6(38|42) ]]; }
eventually 60 narrow host1 || fail "host1 does not find the MTU: $(connections host1)"
eventually 60 narrow host3 || fail "host3 does not find the MTU: $(connections host3)"
pings_of() { inside c1 ping -c 1 -W 2 -s "$1" 10.32.3.1 >/dev/null 2>&1; }
eventually 20 pings_of 10000 || fail "pings of 10000 bytes do not pass"

step "without the middle the ends are apart"
on host2 weave stop
apart() { ! can_ping c1 10.32.3.1; }
eventually 30 apart || fail "c1 still reaches c3"
pass
