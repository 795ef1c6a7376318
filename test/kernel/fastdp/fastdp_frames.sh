#!/bin/bash
# Frames between hosts by the kernel alone (contract A7-05, A7-08, A8-03, A17-05): flows and tunnels, neighbours that
# sleeve reaches alone, peers behind others, and what goes on while a peer is away.
# shellcheck source-path=SCRIPTDIR source=../../system/lib.sh
. "$(dirname "$0")/../../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../system/mesh_lib.sh
. "$(dirname "$0")/../../system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=tcp_lib.sh
. "$(dirname "$0")/tcp_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done

# container HOST NAME ADDRESS
container() {
    [ -e "$(path_of "$2")" ] || make_container "$2"
    on "$1" weave attach "$3" "$(path_of "$2")" >/dev/null || fail "weave attach on $1 failed"
}
by() { [ "$(connections "$1" | grep -c " $2 ")" = "$3" ]; } # by HOST OVERLAY COUNT
expect_by() { eventually 90 by "$@" || fail "not $3 connections of $1 by $2: $(connections "$1")"; }
metric() { on "$1" curl -s http://127.0.0.1:6782/metrics | sed -n "s/^$2 //p"; }
associations() { on "$1" ip xfrm state | grep -c '^src' || true; }
no_associations() { [ "$(associations "$1")" = 0 ]; }
# Of the packets that reach a host in two seconds: "esp N clear N", by what they are between the hosts' addresses.
on_the_wire() {
    on "$1" perl -e 'socket(S, 17, 3, unpack("S", pack("n", 3))) or die "socket: $!"; my ($esp, $clear) = (0, 0);
        my $end = time + 2; my $r = ""; vec($r, fileno(S), 1) = 1;
        while (time < $end) {
            next unless select(my $ready = $r, undef, undef, 0.2);
            my $from = recv(S, my $p, 2048, 0) // next;
            next if unpack("x10 C", $from) == 4;  # what we send ourselves
            my ($type, $protocol) = unpack("x12 n x9 C", $p);
            $esp++ if $type == 0x800 && $protocol == 50;
            $clear++ if $type == 0x800 && $protocol == 17 && unpack("x36 n", $p) == 6784;
        }
        print "esp $esp clear $clear\n"'
}

# Pings without an answer, but for the last, which may be under way when ping is told to end.
unanswered() { # unanswered OUTPUT
    awk '/ bytes from .*icmp_seq=/ { sub(/.*icmp_seq=/, ""); seen[$1 + 0] = 1 }
        / packets transmitted/ { sent = $1 }
        END { for (n = 1; n < sent; n++) if (!(n in seen)) print n; if (sent == 0) print "all" }' "$1"
}
# pings_through WHAT...: while WHAT happens, five pings a second from c1 to c2; none is lost
pings_through() {
    local pid
    (in_background c1 ping -i 0.2 -w 60 10.32.2.1 >"$WORK/pings") &
    pid=$!
    sleep 1
    "$@"
    sleep 1
    kill -INT "$pid"
    wait "$pid" || true
    [ -z "$(unanswered "$WORK/pings")" ] || fail "$*: no answer to $(unanswered "$WORK/pings" | xargs): $(tail -4 "$WORK/pings")"
}
stop_and_start() {
    on host2 weave stop
    launch_peer host2 --no-dns "${password[@]}" 10.99.0.1
    expect_mesh 30 host1 host2
}

for word in "" wonderland; do
    password=()
    [ -z "$word" ] || password=(--password "$word")
    step "two hosts${word:+ with a password} find the fast data path"
    launch_peer host1 --no-dns "${password[@]}"
    launch_peer host2 --no-dns "${password[@]}" 10.99.0.1
    lacks "no Open vSwitch" on host1 weave status || skip "this kernel has no Open vSwitch"
    for host in host1 host2; do expect_by $host fastdp 1; done
    mtu=$([ -n "$word" ] && echo 1416 || echo 1450)
    for host in host1 host2; do
        eventually 20 has "mtu=$mtu" connections $host || fail "no MTU of $mtu: $(connections $host)"
    done
    container host1 c1 10.32.1.1/16
    container host2 c2 10.32.2.1/16
    expect_ping c1 10.32.2.1
    expect_ping c2 10.32.1.1
    inside c1 ping -c 1 -W 5 -M 'do' -s $((mtu - 28)) 10.32.2.1 >/dev/null || fail "$mtu bytes do not pass"
    on host2 weave expose 10.32.2.254/16 >/dev/null
    expect_ping c1 10.32.2.254
    expect 0 "ok    firewall: " on host1 weave doctor
    ! grep -E '^(warn|fail) ' <<<"$OUT" || fail "weave doctor complains: $OUT"

    step "   the kernel forwards, the peer sees nothing of it"
    misses=$(metric host1 'weave_misses_total{outcome="handled"}')
    inside c1 ping -c 50 -i 0.02 -q 10.32.2.1 >/dev/null || fail "pings are lost"
    [ $(($(metric host1 'weave_misses_total{outcome="handled"}') - misses)) -lt 10 ] || fail "the peer sees all pings"
    [ "$(metric host1 weave_flows)" -gt 1 ] || fail "flows: $(metric host1 weave_flows)"

    if [ -n "$word" ]; then
        step "   encrypted: the wire sees ESP alone"
        (in_background c1 ping -i 0.1 -w 5 10.32.2.1 >/dev/null) &
        seen=$(on_the_wire net)
        [[ $seen =~ ^esp\ [1-9][0-9]*\ clear\ 0$ ]] || fail "on the wire: $seen"
        has "proto esp" on host2 ip xfrm state || fail "no associations"
    else
        (in_background c1 ping -i 0.1 -w 5 10.32.2.1 >/dev/null) &
        seen=$(on_the_wire net)
        [[ $seen =~ ^esp\ 0\ clear\ [1-9] ]] || fail "on the wire, without a password: $seen"
    fi

    step "   a peer is killed and comes back, another stops and starts: no packet is lost"
    pings_through crash host2
    expect_by host1 fastdp 1
    pings_through stop_and_start
    for host in host1 host2; do expect_by $host fastdp 1; done
    pings_through crash host1
    for host in host1 host2; do expect_by $host fastdp 1; done

    step "   the peer of each host is killed while TCP runs: it arrives whole"
    tcp_begin c1 c2 10.32.2.1
    for host in host1 host2; do
        crash $host
        for other in host1 host2; do expect_by $other fastdp 1; done
    done
    tcp_end

    if [ -z "$word" ]; then
        step "   a peer without a datapath is reached by sleeve, also through one that has one"
        launch_peer host3 --no-dns --no-fastdp 10.99.0.1
        expect_mesh 30 host1 host2 host3
        container host3 c3 10.32.3.1/16
        expect_by host1 sleeve 1
        expect_by host1 fastdp 1
        for to in 10.32.1.1 10.32.2.1; do expect_ping c3 "$to"; done
        expect_ping c1 10.32.3.1
        on host3 weave reset

        step "   two peers that cannot reach each other, by the one between them"
        for pair in "host1 host3" "host3 host1"; do
            on "${pair% *}" iptables -I INPUT -s "$(address_of "${pair#* }")" -j DROP
        done
        launch_peer host3 --no-dns 10.99.0.2
        container host3 c3 10.32.3.1/16
        expect_by host3 fastdp 1
        expect_by host2 fastdp 2
        expect_ping c1 10.32.3.1
        expect_by host1 fastdp 1
        misses=$(metric host2 'weave_misses_total{outcome="handled"}')
        inside c1 ping -c 50 -i 0.02 -q 10.32.3.1 >/dev/null || fail "pings are lost"
        [ $(($(metric host2 'weave_misses_total{outcome="handled"}') - misses)) -lt 10 ] || fail "the relay sees all pings"
        on host3 weave reset
    fi
    for host in host1 host2; do on $host weave reset; done
    for host in host1 host2; do
        no_associations $host || fail "associations stay on $host: $(on $host ip xfrm state)"
        [ -z "$(on $host ip xfrm policy list)" ] || fail "policies stay on $host: $(on $host ip xfrm policy)"
        lacks WEAVE on $host iptables-save || fail "rules stay on $host: $(on $host iptables-save)"
    done
done
pass
