#!/bin/bash
# Frames between hosts by the kernel alone (contract A7-05, A7-08, A8-03, A17-05): flows and tunnels, neighbours that
# sleeve reaches alone, peers behind others, and what goes on while a peer is away.
# shellcheck source-path=SCRIPTDIR source=../../system/lib.sh
. "$(dirname "$0")/../../system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../../system/mesh_lib.sh
. "$(dirname "$0")/../../system/mesh_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done

# container HOST NAME ADDRESS
container() {
    [ -e "$(path_of "$2")" ] || make_container "$2"
    on "$1" weave attach "$3" "$(path_of "$2")" >/dev/null || fail "weave attach on $1 failed"
}
by() { [ "$(connections "$1" | grep -c " $2 ")" = "$3" ]; } # by HOST OVERLAY COUNT
expect_by() { eventually 20 by "$@" || fail "not $3 connections of $1 by $2: $(connections "$1")"; }
metric() { on "$1" curl -s http://127.0.0.1:6782/metrics | sed -n "s/^$2 //p"; }
associations() { on "$1" ip xfrm state | grep -c '^src' || true; }
no_associations() { [ "$(associations "$1")" = 0 ]; }
# Packets of the tunnels' port that the wire has seen in clear, by the host's own count.
clear_packets() { on "$1" iptables -t raw -nvxL PREROUTING | awk '/dpt:6784/ { print $1 }'; }

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
    has " 0% packet loss" cat "$WORK/pings" || fail "$*: $(tail -4 "$WORK/pings")"
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
    has "mtu=1376" connections host1 || fail "no MTU: $(connections host1)"
    container host1 c1 10.32.1.1/16
    container host2 c2 10.32.2.1/16
    expect_ping c1 10.32.2.1
    expect_ping c2 10.32.1.1
    inside c1 ping -c 1 -W 5 -M 'do' -s 1348 10.32.2.1 >/dev/null || fail "1376 bytes do not pass"
    on host2 weave expose 10.32.2.254/16 >/dev/null
    expect_ping c1 10.32.2.254

    step "   the kernel forwards, the peer sees nothing of it"
    misses=$(metric host1 'weave_misses_total{outcome="handled"}')
    inside c1 ping -c 50 -i 0.02 -q 10.32.2.1 >/dev/null || fail "pings are lost"
    [ $(($(metric host1 'weave_misses_total{outcome="handled"}') - misses)) -lt 10 ] || fail "the peer sees all pings"
    [ "$(metric host1 weave_flows)" -gt 1 ] || fail "flows: $(metric host1 weave_flows)"

    if [ -n "$word" ]; then
        step "   encrypted: nothing of the tunnels' port is on the wire"
        on host2 iptables -t raw -I PREROUTING -p udp --dport 6784 -i eth0
        expect_ping c1 10.32.2.1
        # The kernel shows a packet once more when it is out of its ESP, and that has no interface of its own to tell.
        on host2 ip -s xfrm state | grep -q 'proto esp' || fail "no associations"
        on host2 iptables -t raw -D PREROUTING -p udp --dport 6784 -i eth0
    fi

    step "   a peer is killed and comes back, another stops and starts: no packet is lost"
    pings_through crash host2
    expect_by host1 fastdp 1
    pings_through stop_and_start
    for host in host1 host2; do expect_by $host fastdp 1; done
    pings_through crash host1
    for host in host1 host2; do expect_by $host fastdp 1; done

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
        launch_peer host3 --no-dns 10.99.0.2
        for pair in "host1 host3" "host3 host1"; do
            on "${pair% *}" iptables -I INPUT -s "$(address_of "${pair#* }")" -j DROP
        done
        container host3 c3 10.32.3.1/16
        eventually 90 by host1 fastdp 1
        expect_ping c1 10.32.3.1
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
