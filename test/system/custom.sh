#!/bin/bash
# Two hosts on which nothing has its usual number or name: port, bridge, listeners (contract A3-02, A3-03, A3-06a,
# A3-18a, A4-02a); who listens where (A21-02); what a buffer holds (A3-16); frames and heartbeats in the log (A3-11,
# A3-12); subnets across hosts (A7-14) and an address that moves between them (A20-03).
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2; do make_mesh_host "$host"; done
for name in c1 d1 c2 d2; do make_container "$name"; done

listeners() { on "$1" ss -Hltun | awk '{ sub(/^(\*|\[::\]):/, "0.0.0.0:", $5); print $1, $5 }' | sort | tr '\n' ' '; }
expect_listeners() { # expect_listeners HOST "PROTOCOL ADDRESS ..."
    [ "$(listeners "$1")" = "$2 " ] || fail "on $1 listen: $(listeners "$1"), want $2"
}
frames_logged() { grep -c ' frame .* type=0x0800 ' "$(log_of "$1")" || true; } # those of IPv4
attach() { expect 0 "$2" on "$1" weave attach "$2" "$(path_of "$3")"; } # attach HOST ADDRESS CONTAINER

step "on another port and another bridge two peers connect, and listen nowhere else"
W_ENV="WEAVE_PORT=7000"
launch_peer host1 --weave-bridge mesh0 --no-fastdp --host 10.99.0.1 --http-addr "$WORK/http.sock" --status-addr= \
    --no-dns --bufsz 1
launch_peer host2 --weave-bridge mesh0 --no-fastdp --pkt-debug --log-level=debug "$(address_of host1)"
W_ENV=""
expect_mesh 30 host1 host2
says_of_connections host2 "10.99.0.1:7000 " || fail "connections: $(connections host2)"
for host in host1 host2; do
    [ "$(links $host | tr '\n' ' ')" = "eth0 lo mesh0 vethwe-bridge vethwe-pcap " ] || fail "links: $(links $host)"
done
local_ones="tcp 127.0.0.1:53 tcp 127.0.0.1:6782 tcp 127.0.0.1:6784"
expect_listeners host1 "tcp 10.99.0.1:7000 udp 10.99.0.1:7000"
expect_listeners host2 "tcp 0.0.0.0:7000 $local_ones udp 0.0.0.0:7000 udp 127.0.0.1:53"
[ "$(on host1 curl -s --unix-socket "$WORK/http.sock" http://weave/ipinfo/defaultsubnet)" = 10.32.0.0/12 ] ||
    fail "nobody answers at a path given to --http-addr"

step "containers of one subnet talk across hosts, those of another do not"
attach host1 10.5.1.1/24 c1
attach host1 10.5.2.1/24 d1
attach host2 10.5.1.2/24 c2
attach host2 10.5.2.2/24 d2
expect_ping c1 10.5.1.2
expect_ping d2 10.5.2.1
for pair in "c1 10.5.2.2" "d1 10.5.1.2" "c2 10.5.2.1" "d2 10.5.1.1"; do
    # shellcheck disable=SC2086
    expect_no_ping $pair
done

step "with --pkt-debug a ping is two lines in the log, without it none"
before=$(frames_logged host2)
can_ping c1 10.5.1.2 || fail "c1 does not reach c2"
two_more() { [ "$(frames_logged host2)" -ge $((before + 2)) ]; }
eventually 5 two_more || fail "a ping is logged $(($(frames_logged host2) - before)) times"
[ "$(frames_logged host1)" = 0 ] || fail "frames are logged without being asked for: $(tail -5 "$(log_of host1)")"

step "with --log-level=debug heartbeats are lines in the log, without it none"
logged host2 'DEBUG' || fail "no line of level debug"
for what in sent received acknowledged; do logged host2 "sleeve: heartbeat $what" || fail "no heartbeat $what in the log"; done
! logged host1 "heartbeat" || fail "heartbeats are logged without being asked for"

step "of a burst that a peer cannot look at the larger buffer keeps what the smaller loses"
burst() { # burst CONTAINER: 4000 frames to everybody, four times what a buffer of 1 MB holds
    inside "$1" perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0) or die; connect(S, sockaddr_in(9, inet_aton("239.1.2.3"))) or die "$!\n";
        for (1 .. 4000) { defined send(S, "x" x 1400, 0) or die "$!\n" }' || fail "$1 cannot send"
}
small_loses() { on host1 curl -sf --unix-socket "$WORK/http.sock" http://weave/metrics | grep '{reason="capture_buffer"} [1-9]' >/dev/null; }
large_keeps() { [ "$(on host2 curl -sf http://127.0.0.1:6782/metrics | sed -n 's/^weave_frames_total{way="captured"} //p')" -ge 4000 ]; }
for host in host1 host2; do kill -STOP "$(weaver_of $host)"; done
burst c1
burst c2
for host in host1 host2; do kill -CONT "$(weaver_of $host)"; done
eventually 10 small_loses || fail "no frame is lost with --bufsz 1"
eventually 10 large_keeps || fail "frames are lost with a buffer of 8 MB: $(on host2 curl -s http://127.0.0.1:6782/metrics | grep ^weave_frame)"

step "attach --no-multicast-route; an address that the host has a route to: a warning, and it is attached"
expect 0 "" on host1 weave detach 10.5.2.1/24 "$(path_of d1)"
expect 0 "10.5.3.1/24" on host1 weave attach --no-multicast-route 10.5.3.1/24 "$(path_of d1)"
[ -z "$(inside d1 ip route show 224.0.0.0/4)" ] || fail "a multicast route in d1: $(inside d1 ip route)"
[ -n "$(inside c1 ip route show 224.0.0.0/4)" ] || fail "no multicast route in c1: $(inside c1 ip route)"
on host1 ip route add 10.6.0.0/16 dev eth0
expect 0 "WARNING: 10.6.1.1/24 overlaps with the route 10.6.0.0/16 dev eth0 of this host" \
    on host1 weave attach 10.6.1.1/24 "$(path_of d1)"
has 10.6.1.1/24 inside d1 ip -o addr show dev ethwe || fail "warned, and not attached: $(inside d1 ip addr)"

step "an exposed address moves to another host: who used it still reaches it"
leads_to() { can_ping "$1" 10.5.1.200 && has "lladdr $(name_of "$2")" inside "$1" ip neigh show 10.5.1.200; }
for host in host1 host2 host1; do
    expect 0 "10.5.1.200/24" on $host weave expose 10.5.1.200/24
    for name in c1 c2; do
        eventually 10 leads_to $name $host || fail "$name does not reach $host: $(inside $name ip neigh)"
    done
    expect 0 "10.5.1.200/24" on $host weave hide 10.5.1.200/24
done

step "the usual ports, with control switched off; names are served on a Docker bridge of another name"
expect 0 "" on host1 weave reset
on host1 ip link add dkr0 type bridge
on host1 ip addr add 172.30.0.1/24 dev dkr0
on host1 ip link set dkr0 up
W_ENV="DOCKER_BRIDGE=dkr0" launch_peer host1 --no-fastdp --http-addr=
expect_listeners host1 "tcp 0.0.0.0:6783 tcp 127.0.0.1:6782 tcp 172.30.0.1:53 udp 0.0.0.0:6783 udp 172.30.0.1:53"
expect 0 "--dns=172.30.0.1 --dns-search=weave.local." on host1 weave dns-args
has "-i dkr0 -o weave -j DROP" rules host1 || fail "no rules for the Docker bridge: $(rules host1)"
mac_of() { on host1 cat "/sys/class/net/$1/address"; }
before=$(mac_of dkr0)
on host1 ip link add low0 address 00:00:00:00:00:02 type veth peer name low1
on host1 ip link set low0 master dkr0 up
[ "$(mac_of dkr0)" = "$before" ] || fail "dkr0 takes the MAC of a container: $(mac_of dkr0), before $before"
pass
