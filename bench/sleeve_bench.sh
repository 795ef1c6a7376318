#!/bin/bash
# sleeve_bench.sh [ROUNDS [SECONDS]]: what containers on two hosts get through sleeve, in clear and encrypted, beside a bridge
# with VXLAN made by hand and the bare wire, in turn. Hosts are network namespaces on a wire of MTU 1500. Needs root,
# WEAVE_BIN (weave, weaver) and NET_LOAD. REFERENCE: a weaver of Weave Net 2.8, which is then measured in the same rounds.
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/mesh_lib.sh
. "$(dirname "$0")/../test/system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=pairs_lib.sh
. "$(dirname "$0")/pairs_lib.sh"
NET_LOAD=${NET_LOAD:?set NET_LOAD to the program net_load}
rounds=${1:-3}
seconds=${2:-1}
more_clean_up() { [ ${#STARTED[@]} = 0 ] || kill "${STARTED[@]}" 2>/dev/null; }

wire() {
    containers wire
    ip -n "$TAG-wire-a" link add ethwe type veth peer name ethwe netns "$TAG-wire-b"
    for end in a b; do ip -n "$TAG-wire-$end" link set ethwe up; done
    ip -n "$TAG-wire-a" addr add 10.32.0.1/16 dev ethwe
    ip -n "$TAG-wire-b" addr add 10.32.0.2/16 dev ethwe
    is_ready wire
}
vxlan() { # vxlan HOST HOST
    local n ends=(a b)
    containers vxlan
    for n in 0 1; do
        local host=${*:1+n:1} other=${*:2-n:1}
        ip -n "$TAG-$host" link add vx type vxlan id 7 remote "$(address_of "$other")" local "$(address_of "$host")" dstport 4799
        ip -n "$TAG-$host" link add vbr type bridge
        ip -n "$TAG-$host" link set vx mtu 1376 master vbr up
        ip -n "$TAG-$host" link set vbr up
        plug_in "$host" vbr "vxlan-${ends[n]}" "10.32.0.$((n + 1))"
    done
    is_ready vxlan
}

cpu_of() { # cpu_of KIND: seconds that its peers have used
    local pid total=0
    for pid in ${PEERS[$1]:-}; do total=$((total + $(awk '{print $14 + $15}' "/proc/$pid/stat"))); done
    awk -v t="$total" -v hz="$(getconf CLK_TCK)" 'BEGIN { print t / hz }'
}
measure() { # measure KIND
    local kind=$1 before after tcp rtt udp
    inside "$kind-a" "$NET_LOAD" tcp 10.32.0.2 0.3 >/dev/null # path MTU and windows are found
    before=$(cpu_of "$kind")
    read -r -a tcp < <(inside "$kind-a" "$NET_LOAD" tcp 10.32.0.2 "$seconds")
    after=$(cpu_of "$kind")
    read -r -a rtt < <(inside "$kind-a" "$NET_LOAD" rtt 10.32.0.2 1000)
    read -r -a udp < <(inside "$kind-a" "$NET_LOAD" udp 10.32.0.2 0.5)
    sample "$kind" tcp "${tcp[0]}" rtt "${rtt[0]}" udp "${udp[0]}" \
        cpu "$(awk -v a="$after" -v b="$before" -v gb="${tcp[1]}" 'BEGIN { printf "%.2f", (a - b) / gb }')"
}

make_network
for n in {1..10}; do make_mesh_host "host$n"; done
wire
vxlan host1 host2
our_pair sleeve sleeve host3 host4 --no-fastdp
our_pair sleeve-sealed sleeve host5 host6 --no-fastdp --password wonderland
kinds=(wire vxlan sleeve sleeve-sealed)
if [ -n "${REFERENCE:-}" ]; then
    # The MTU that its `weave attach` gives on a bridge without datapath.
    reference_pair reference sleeve 65535 host7 host8 --no-fastdp --mtu 0
    reference_pair reference-sealed sleeve 65535 host9 host10 --no-fastdp --mtu 0 --password wonderland
    kinds+=(reference reference-sealed)
fi
for ((round = 0; round < rounds; ++round)); do
    for kind in "${kinds[@]}"; do measure "$kind"; done
done

echo "Medians of $rounds rounds; in brackets, ratios to the bridge with VXLAN."
printf '%-18s %20s %22s %26s %22s\n' "" "one TCP stream" "round trip" "small UDP frames" "CPU of both peers"
for kind in "${kinds[@]}"; do
    figures=()
    for what in tcp rtt udp; do
        value=$(median "$kind" $what)
        figures+=("$value" "$(ratio "$value" "$(median vxlan $what)")")
    done
    printf '%-18s %8s Gbit/s (%s) %12s us (%s) %12s frames/s (%s) %12s s/GB\n' "$kind" "${figures[@]}" "$(median "$kind" cpu)"
done
[ -n "${REFERENCE:-}" ] || exit 0
added() { awk -v a="$(median "$1" rtt)" -v b="$(median vxlan rtt)" 'BEGIN { print a - b }'; }
for kind in "" -sealed; do
    echo "Ours by the reference's${kind:+, encrypted}: TCP $(ratio "$(median "sleeve$kind" tcp)" "$(median "reference$kind" tcp)")," \
        "round trip beyond VXLAN's $(ratio "$(added "sleeve$kind")" "$(added "reference$kind")")," \
        "UDP $(ratio "$(median "sleeve$kind" udp)" "$(median "reference$kind" udp)")," \
        "CPU by the GB $(ratio "$(median "sleeve$kind" cpu)" "$(median "reference$kind" cpu)")"
done
