#!/bin/bash
# Frames cross hosts (contract A7-01 to A7-06): containers on any two hosts share one Ethernet segment.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2; do make_mesh_host "$host"; done

# container HOST NAME ADDRESS
container() {
    [ -e "$(path_of "$2")" ] || make_container "$2"
    on "$1" weave attach "$3" "$(path_of "$2")" >/dev/null || fail "weave attach on $1 failed"
}

lose_fragments() { # the network does: the first of each packet
    inside net nft -f - <<'RULES'
table bridge fragments {
    chain lost { type filter hook forward priority 0; ip frag-off & 0x2000 != 0 drop; }
}
RULES
}
pass_fragments() { inside net nft delete table bridge fragments; }

v6_of() { inside "$1" ip -6 -o addr show dev ethwe scope link | sed -n 's/.*inet6 \([^/]*\).*/\1/p'; }

for password in "" wonderland; do
    step "two hosts${password:+ with a password}: containers reach each other, and the hosts' own addresses"
    launch_peer host1 ${password:+--password "$password"}
    launch_peer host2 ${password:+--password "$password"} 10.99.0.1
    expect_mesh 30 host1 host2
    container host1 c1 10.32.1.1/16
    container host2 c2 10.32.2.1/16
    expect_ping c1 10.32.2.1
    expect_ping c2 10.32.1.1
    on host2 weave expose 10.32.2.254/16 >/dev/null
    expect_ping c1 10.32.2.254
    on host2 weave hide 10.32.2.254/16 >/dev/null

    step "   large packets, whole and in pieces"
    inside c1 ping -c 1 -W 5 -M 'do' -s 1300 10.32.2.1 >/dev/null || fail "1300 bytes do not pass"
    # 10 kB with DF are refused by the path; the kernel learns, and cuts the next.
    pings_of() { inside c1 ping -c 1 -W 2 -s "$1" 10.32.2.1 >/dev/null 2>&1; }
    eventually 10 pings_of 10000 || fail "pings of 10000 bytes do not pass"
    eventually 10 pings_of 60000 || fail "pings of 60000 bytes do not pass"

    step "   the bridge's port to the peer is deleted, and made again"
    on host2 ip link del vethwe-bridge
    eventually 10 on host2 ip link show vethwe-pcap >/dev/null 2>&1 || fail "vethwe-pcap is not made again"
    expect_ping c1 10.32.2.1

    step "   a peer that stops and starts again"
    flows_of_the_port() { on host2 cat /proc/net/nf_conntrack | grep -c 'udp .*dport=6783 .*sport='; }
    [ "$(flows_of_the_port)" != 0 ] || fail "host2 tracks no flow of the port while the peers talk"
    on host2 weave stop
    [ "$(flows_of_the_port)" = 0 ] || fail "flows of the port stay tracked after a stop (contract A2-26)"
    expect_ping c2 10.32.2.1
    lose_fragments
    launch_peer host2 ${password:+--password "$password"} 10.99.0.1
    expect_mesh 30 host1 host2
    expect_ping c1 10.32.2.1

    step "   a network that loses fragments: IPv4 is cut inside, and who sends IPv6 is told"
    eventually 10 pings_of 10000 || fail "pings of 10000 bytes do not pass"
    pings_v6() { inside c1 ping -6 -c 1 -W 2 -s 5000 "$(v6_of c2)%ethwe" >/dev/null 2>&1; }
    eventually 10 pings_v6 || fail "IPv6 pings of 5000 bytes do not pass"
    path_mtu=$(inside c1 ip -6 route get "$(v6_of c2)" oif ethwe | grep -o 'mtu [0-9]*')
    [ "${path_mtu#mtu }" -lt 1500 ] || fail "the container was not told of the path's MTU: $path_mtu"
    pass_fragments
    on host1 weave reset
    on host2 weave reset
done
pass
