#!/bin/bash
# sleeve_bench.sh [SECONDS]: what containers on two hosts get through sleeve, in clear and encrypted, beside a bridge with
# VXLAN made by hand and the bare wire in the same run. Hosts are network namespaces on a wire of MTU 1500. Needs root,
# WEAVE_BIN (weave, weaver) and NET_LOAD.
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/mesh_lib.sh
. "$(dirname "$0")/../test/system/mesh_lib.sh"
NET_LOAD=${NET_LOAD:?set NET_LOAD to the program net_load}
seconds=${1:-2}
SERVERS=()
more_clean_up() { [ ${#SERVERS[@]} = 0 ] || kill "${SERVERS[@]}" 2>/dev/null; }

serve() { # serve NAMESPACE
    ip netns exec "$TAG-$1" "$NET_LOAD" serve &
    SERVERS+=($!)
    sleep 0.2
}
cpu_of() { # cpu_of PIDS...: seconds
    local pid total=0
    for pid in "$@"; do total=$((total + $(awk '{print $14 + $15}' "/proc/$pid/stat"))); done
    awk -v t="$total" -v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz }'
}
measure() { # measure WHAT NAMESPACE ADDRESS PIDS...
    local what=$1 from=$2 to=$3 tcp rtt udp before after
    shift 3
    ip netns exec "$TAG-$from" "$NET_LOAD" tcp "$to" 0.5 >/dev/null # path MTU and windows are found
    before=$(cpu_of "$@")
    read -r -a tcp < <(ip netns exec "$TAG-$from" "$NET_LOAD" tcp "$to" "$seconds")
    after=$(cpu_of "$@")
    read -r rtt _ < <(ip netns exec "$TAG-$from" "$NET_LOAD" rtt "$to" 2000)
    read -r -a udp < <(ip netns exec "$TAG-$from" "$NET_LOAD" udp "$to" 1)
    printf '%-16s %8s Gbit/s %9s us round trip %9s small frames/s (of %s)' "$what" "${tcp[0]}" "$rtt" "${udp[0]}" "${udp[1]}"
    [ $# = 0 ] || awk -v a="$after" -v b="$before" -v gb="${tcp[1]}" 'BEGIN { printf "  %.2f CPU-s/GB of both peers", (a - b) / gb }'
    echo
}

make_network
for host in host1 host2; do make_mesh_host "$host"; done
serve host2
measure "bare wire" host1 10.99.0.2

for n in 1 2; do
    make_container "v$n"
    ip -n "$TAG-host$n" link add vx type vxlan id 7 remote "10.99.0.$((3 - n))" local "10.99.0.$n" dstport 4799
    ip -n "$TAG-host$n" link add vbr type bridge
    ip -n "$TAG-host$n" link set vx mtu 1376 master vbr up
    ip -n "$TAG-host$n" link set vbr up
    ip -n "$TAG-host$n" link add vp type veth peer name eth0 netns "$TAG-v$n"
    ip -n "$TAG-host$n" link set vp mtu 1376 master vbr up
    ip -n "$TAG-v$n" addr add "10.40.0.$n/24" dev eth0
    ip -n "$TAG-v$n" link set eth0 mtu 1376 up
done
serve v2
measure "bridge + VXLAN" v1 10.40.0.2

for n in 1 2; do make_container "c$n"; done
served=no
for password in "" wonderland; do
    launch_peer host1 ${password:+--password "$password"}
    launch_peer host2 ${password:+--password "$password"} 10.99.0.1
    expect_mesh 60 host1 host2
    for n in 1 2; do on "host$n" weave attach "10.32.$n.1/16" "$(path_of "c$n")" >/dev/null; done
    expect_ping c1 10.32.2.1
    [ $served = yes ] || serve c2
    served=yes
    measure "sleeve${password:+ encrypted}" c1 10.32.2.1 "$(weaver_of host1)" "$(weaver_of host2)"
    for host in host1 host2; do on "$host" weave reset; done
done
echo "2.8.1 on another day: 0.34 to 0.36 Gbit/s (encrypted 0.26 to 0.32), 203 to 234 us, 23000 to 41000 frames/s, 28 to 36 CPU-s/GB"
