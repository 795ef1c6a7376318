#!/bin/bash
# fastdp_bench.sh [ROUNDS]: what containers on two hosts get through the fast data path, in clear and encrypted, beside
# a bare veth pair and a bridge with VXLAN made by hand (the same MTU, the same ESP); and what the first packets of
# pairs that nobody has seen cost. All of it in one boot of User-Mode Linux, one kind after the other, again and again: its
# single processor and its dear system calls make figures that mean something only beside each other. What others do on
# the machine must not count, so most figures are a second of that processor, as the machine accounts it.
#
# Needs root, linux.uml and WEAVE_BIN (weave, weaver, net_load, miss_load). REFERENCE: a weaver of Weave Net 2.8, which
# is then measured in the same boot.
if [ -z "${FASTDP_BENCH_ROUNDS:-}" ]; then
    set -euo pipefail
    # tell_cpu DIR: for each file DIR/ask.KEY of the guest makes DIR/cpu.KEY, the microseconds that its kernel has run
    tell_cpu() {
        # shellcheck disable=SC2016 # Perl's variables
        perl -e 'my $dir = shift;
            sub first_line { open(my $file, "<", shift) or return ""; scalar(<$file>) // "" }
            sub cpu {
                my $pid = int(first_line("$dir/weave/pid"));
                my @ended = (split " ", first_line("/proc/$pid/stat"))[15, 16]; # its processes that are gone, in ticks
                my $sum = 10_000 * ($ended[0] + $ended[1]);
                my @all = ($pid, map { split " ", first_line($_) } glob("/proc/$pid/task/*/children"));
                $sum += (split " ", first_line("/proc/$_/schedstat") || "0")[0] / 1000 for @all;
                int($sum)
            }
            while (select(undef, undef, undef, 0.003), -d $dir) {
                for my $ask (glob("$dir/ask.*")) {
                    my ($key) = $ask =~ /ask\.(.*)/;
                    open(my $answer, ">", "$dir/.cpu") or next;
                    print $answer cpu(), "\n";
                    close($answer);
                    rename("$dir/.cpu", "$dir/cpu.$key") and unlink($ask);
                }
            }' "$1"
    }
    : "${WEAVE_BIN:?set WEAVE_BIN to the directory of weave, weaver, net_load and miss_load}"
    uml=$(dirname "$0")/../test/kernel/uml
    results=$(mktemp -d /tmp/fastdp_bench.XXXXXX)
    tell_cpu "$results" &
    trap 'kill $!; rm -rf "$results"' EXIT
    words="FASTDP_BENCH_ROUNDS=${1:-10}"
    [ -z "${REFERENCE:-}" ] || words+=" REFERENCE=$(readlink -f "$REFERENCE")"
    export UML_WORDS=$words UML_LIMIT=${UML_LIMIT:-1200}
    export UML_PRELOAD=${UML_PRELOAD-$WEAVE_BIN/../test/kernel/libweave_uml_xstate.so}
    "$uml" run "$results" "$0" >/dev/null || { cat "$results/console.log" && exit 1; }
    "$uml" result "$results" fastdp_bench
    exit
fi

# ---- in the guest
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/mesh_lib.sh
. "$(dirname "$0")/../test/system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=pairs_lib.sh
. "$(dirname "$0")/pairs_lib.sh"
trap - EXIT TERM INT # the kernel ends with us
rounds=$FASTDP_BENCH_ROUNDS
mac_count=10000

# ---- kinds
veth() {
    containers veth
    ip -n "$TAG-veth-a" link add ethwe mtu 1376 type veth peer name ethwe mtu 1376 netns "$TAG-veth-b"
    for end in a b; do ip -n "$TAG-veth-$end" link set ethwe up; done
    ip -n "$TAG-veth-a" addr add 10.32.0.1/16 dev ethwe
    ip -n "$TAG-veth-b" addr add 10.32.0.2/16 dev ethwe
    is_ready veth
}

# What Docker's rules do to every packet of a host, with br_netfilter also to those on bridges: it is tracked. Peers
# have such rules too.
track() { # track HOST
    on "$1" iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
    on "$1" iptables -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
}
# associate HOST FROM TO: what goes from one to the other on this UDP port is in ESP, as a peer would have it
associate() {
    local spi=$((0x100 + ${2##*.}))
    on "$1" ip xfrm state add src "$2" dst "$3" proto esp spi $spi mode transport flag esn replay-window 256 \
        aead 'rfc4106(gcm(aes))' "0x$(printf '5a%.0s' {1..36})" 128
    on "$1" ip xfrm policy add src "$2" dst "$3" proto udp dport 4790 dir "$4" \
        tmpl src "$2" dst "$3" proto esp mode transport
}
vxlan() { # vxlan KIND UDP-PORT HOST HOST
    local kind=$1 port=$2 ends=(a b) n
    containers "$kind"
    for n in 0 1; do
        local host=${*:3+n:1} other=${*:4-n:1}
        ip -n "$TAG-$host" link add "vx$port" mtu 1376 type vxlan id 7 remote "$(address_of "$other")" \
            local "$(address_of "$host")" dstport "$port"
        ip -n "$TAG-$host" link add "br$port" type bridge
        ip -n "$TAG-$host" link set "vx$port" master "br$port" up
        ip -n "$TAG-$host" link set "br$port" up
        [ "$port" != 4790 ] || associate "$host" "$(address_of "$host")" "$(address_of "$other")" out
        [ "$port" != 4790 ] || associate "$host" "$(address_of "$other")" "$(address_of "$host")" 'in'
        plug_in "$host" "br$port" "$kind-${ends[n]}" "10.32.0.$((n + 1))"
    done
    is_ready "$kind"
}

# ---- figures
metrics() { on "$1" curl -sf http://127.0.0.1:6782/metrics; }
flows() { metrics "$1" | awk '$1 == "weave_flows" { print $2 + 0 }'; }
resident_kib() { # of the peers of KIND
    local pid total=0
    for pid in ${PEERS[$1]}; do total=$((total + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"))); done
    echo $total
}

# The kernel's own processor, in microseconds: our wall clock also runs while others have it.
kernel_cpu() {
    local key=$EPOCHREALTIME
    : >"/mnt/out/ask.$key"
    until [ -e "/mnt/out/cpu.$key" ]; do sleep 0.01; done
    cat "/mnt/out/cpu.$key"
}
# load KIND ARGUMENTS...: runs net_load; what it prints is in $LOAD, how long the processor ran for it in $TOOK
load() {
    local kind=$1 before
    shift
    before=$(kernel_cpu)
    read -r -a LOAD < <(inside "$kind-a" net_load "$@" 2>/dev/null)
    TOOK=$(($(kernel_cpu) - before - ${START:-0}))
}
per() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.4g", a / b }'; } # per A B
forwarding() { # forwarding KIND
    local kind=$1 first
    START=0
    load "$kind" || true
    START=$TOOK # of starting a program
    load "$kind" tcp 10.32.0.2 0.1 # windows are found
    load "$kind" tcp 10.32.0.2 0.7
    sample "$kind" tcp "$(per "$(per "${LOAD[1]}" 1.25e-7)" "$TOOK")"
    load "$kind" rtt 10.32.0.2 1000
    sample "$kind" rtt "$(per "$TOOK" 1000)" rtt_wall "${LOAD[0]}" rtt99_wall "${LOAD[1]}"
    load "$kind" udp 10.32.0.2 0.3
    sample "$kind" udp "$(per "$(per "${LOAD[0]}" 3.333e-6)" "$TOOK")"
    [[ $kind != veth ]] || return 0
    read -r -a first < <(miss_load first "$(path_of "$kind-a")" "$(path_of "$kind-b")" 10)
    sample "$kind" first "${first[0]}" first_arp "${first[1]}" second "${first[2]}" lost "${first[3]}"
}
pairs() { # pairs KIND COUNT WINDOW
    miss_load pairs "$(path_of "$1-a")" "$(path_of "$1-b")" "$2" "$3"
}
misses() { # misses KIND
    local kind=$1 new before
    before=$(kernel_cpu)
    read -r -a new < <(pairs "$kind" 500 32)
    sample "$kind" misses "$(per "${new[1]}e6" $(($(kernel_cpu) - before)))"
}
all_flows() { [ "$(flows "$1")" -ge "$3" ] && [ "$(flows "$2")" -ge "$3" ]; }
many_macs() { # many_macs KIND HOST HOST WINDOW
    local kind=$1 cpu memory new start had
    cpu=$(kernel_cpu)
    memory=$(resident_kib "$kind")
    had="$(flows "$2") $(flows "$3")"
    start=$(date +%s%N)
    read -r -a new < <(pairs "$kind" $mac_count "$4")
    eventually 20 all_flows "$2" "$3" $mac_count || true
    printf '  %-14s %5d of %d arrived in %.1f s, all flows after %.1f s, ' "$kind" "${new[1]}" $mac_count "${new[0]}" \
        "$(per $(($(date +%s%N) - start)) 1e9)"
    printf '%.1f s of the processor, %+.1f MiB of both peers; flows: %s, before %s\n' \
        "$(per $(($(kernel_cpu) - cpu)) 1e6)" "$(per $(($(resident_kib "$kind") - memory)) 1024)" \
        "$(flows "$2") $(flows "$3")" "$had"
}

table() { # table BASE KINDS...: medians, and in brackets their ratios to those of BASE
    local base=$1 kind what value
    printf '%-16s' ""
    for what in tcp rtt rtt_wall rtt99_wall udp first first_arp second lost; do printf ' %15s' $what; done
    echo
    for kind in "$@"; do
        printf '%-16s' "$kind"
        for what in tcp rtt rtt_wall rtt99_wall udp first first_arp second lost; do
            value=$(median "$kind" $what)
            printf ' %15s' "$value ($(ratio "$value" "$(median "$base" $what)"))"
        done
        echo
    done
}

# ---- what is measured
make_network
for n in {1..12}; do make_mesh_host "host$n"; done
veth
vxlan bare-vxlan 4789 host1 host2
for host in host11 host12; do track "$host"; done
vxlan vxlan 4789 host11 host12
vxlan vxlan-esp 4790 host11 host12
our_pair weave fastdp host3 host4
our_pair weave-esp fastdp host5 host6 --password wonderland
kinds=(veth bare-vxlan vxlan weave vxlan-esp weave-esp)
peers=("weave host3 host4" "weave-esp host5 host6")
if [ -n "${REFERENCE:-}" ]; then
    reference_pair reference fastdp 1376 host7 host8
    reference_pair reference-esp fastdp 1376 host9 host10 --password wonderland
    kinds=(veth bare-vxlan vxlan weave reference vxlan-esp weave-esp reference-esp)
    peers=("weave host3 host4" "reference host7 host8")
fi

for ((round = 0; round < rounds; ++round)); do
    for kind in "${kinds[@]}"; do forwarding "$kind"; done
done
for ((round = 0; round < rounds; ++round)); do
    for peer in "${peers[@]}"; do misses "${peer%% *}"; done
done
cat <<END
Medians of $rounds rounds, and their ratios to the first line's. tcp: Gbit of one stream by a second of the processor;
rtt: microseconds of the processor for a round trip; rtt_wall, rtt99_wall: the same by the clock, p50 and p99; udp:
small frames delivered by a second of the processor; first, first_arp, second: microseconds by the clock of the first round
trip of two MACs, with ARP known, with ARP before it, and of their second one; lost: packets of those.
END
[ -n "${REFERENCE:-}" ] && plain=(vxlan bare-vxlan veth weave reference) || plain=(vxlan bare-vxlan veth weave)
[ -n "${REFERENCE:-}" ] && encrypted=(vxlan-esp weave-esp reference-esp) || encrypted=(vxlan-esp weave-esp)
table "${plain[@]}"
table "${encrypted[@]}"
echo "New MACs by a second of the processor, which has two peers, their kernels and the load:"
for peer in "${peers[@]}"; do printf '  %-14s %6.0f\n' "${peer%% *}" "$(median "${peer%% *}" misses)"; done
echo "$mac_count new MACs, 128 frames under way:"
# shellcheck disable=SC2086
for peer in "${peers[@]}"; do many_macs $peer 128; done
echo "$mac_count new MACs, as fast as they can be sent:"
# shellcheck disable=SC2086
for peer in "${peers[@]}"; do many_macs $peer $mac_count; done
