# shellcheck shell=bash
# shellcheck disable=SC2034 # used by who sources this
# Containers KIND-a and KIND-b, 10.32.0.1 and 10.32.0.2, each on its own host, with something between them; for benchmarks
# that source this after test/system/mesh_lib.sh. NET_LOAD: the program net_load. REFERENCE: a `weaver` of Weave Net 2.8.
#
#   containers KIND           makes them, with nothing between
#   plug_in HOST BRIDGE CONTAINER ADDRESS [MTU]   one on a bridge, by hand
#   our_pair KIND WAY HOST HOST ARGUMENTS...      between two peers that reach each other by WAY, fastdp or sleeve
#   reference_pair KIND WAY MTU HOST HOST ARGUMENTS...   the same with the reference, and with an MTU of the containers
#   is_ready KIND             the two reach each other, and the measuring end serves; its pid is in $STARTED
# Of a kind, ${PEERS[KIND]} are the pids of its two peers.
#
#   sample KIND WHAT VALUE WHAT VALUE...   keeps figures
#   median KIND WHAT; ratio VALUE BASE     of what was kept

declare -A PEERS
STARTED=()
containers() { make_container "$1-a" && make_container "$1-b"; }
is_ready() {
    expect_ping "$1-a" 10.32.0.2
    in_background "$1-b" "${NET_LOAD:-net_load}" serve &
    STARTED+=($!)
}
our_pair() {
    local kind=$1 way=$2 one=$3 two=$4
    shift 4
    launch_peer "$one" --no-dns "$@"
    launch_peer "$two" --no-dns "$@" "$(address_of "$one")"
    eventually 60 says_of_connections "$one" " $way " || fail "no connection by $way: $(connections "$one")"
    containers "$kind"
    on "$one" weave attach 10.32.0.1/16 "$(path_of "$kind-a")" >/dev/null
    on "$two" weave attach 10.32.0.2/16 "$(path_of "$kind-b")" >/dev/null
    PEERS[$kind]="$(weaver_of "$one") $(weaver_of "$two")"
    is_ready "$kind"
}

reference_pid=
reference_peer() { # reference_peer HOST ARGUMENTS...: starts one; $reference_pid is it
    local host=$1
    shift
    mkdir -p "$WORK/$host"
    start "$host" CHECKPOINT_DISABLE=1 unshare -m -p -f --kill-child --mount-proc --wd "$WORK/$host" "$REFERENCE" \
        --name "$(name_of "$host")" --nickname "$host" --no-dns --no-discovery --docker-api= \
        --datapath datapath --weave-bridge weave --db-prefix "$WORK/$host/weave" \
        --ipalloc-range 10.48.0.0/12 --http-addr 127.0.0.1:6784 --status-addr 127.0.0.1:6782 "$@" \
        >"$WORK/$host/log" 2>&1
    eventually 30 reference_serves "$host" || fail "no reference: $(tail -20 "$WORK/$host/log")"
    reference_pid=$(pgrep -P $!)
}
reference_serves() { on "$1" curl -s -f -o /dev/null 127.0.0.1:6784/status/connections; }
reference_says() { has "$2" on "$1" curl -s -f 127.0.0.1:6784/status/connections; } # reference_says HOST TEXT
reference_pair() {
    local kind=$1 way=$2 mtu=$3 one=$4 two=$5 end
    shift 5
    reference_peer "$one" "$@"
    PEERS[$kind]=$reference_pid
    reference_peer "$two" "$@" "$(address_of "$one")"
    PEERS[$kind]+=" $reference_pid"
    eventually 60 reference_says "$one" " $way " || fail "the reference does not connect by $way: $(tail -20 "$WORK/$one/log")"
    containers "$kind"
    plug_in "$one" weave "$kind-a" 10.32.0.1 "$mtu"
    plug_in "$two" weave "$kind-b" 10.32.0.2 "$mtu"
    for end in a b; do tx_off "$kind-$end"; done
    is_ready "$kind"
}

plug_in() {
    local mtu=${5:-1376}
    ip -n "$TAG-$1" link add "to-$2" mtu "$mtu" type veth peer name ethwe mtu "$mtu" netns "$TAG-$3"
    ip -n "$TAG-$1" link set "to-$2" master "$2" up
    ip -n "$TAG-$3" addr add "$4/16" dev ethwe
    ip -n "$TAG-$3" link set ethwe up
}
# shellcheck disable=SC2016 # Perl's variables
tx_off() { # tx_off CONTAINER: as 2.8 does for every container on a bridge (SIOCETHTOOL, ETHTOOL_STXCSUM)
    inside "$1" perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); my $value = pack("LL", 0x17, 0);
        my $request = pack("a16P", "ethwe", $value); ioctl(S, 0x8946, $request) or die $!'
}

samples=$WORK/samples # lines "KIND WHAT VALUE"
median() {
    awk -v kind="$1" -v what="$2" '$1 == kind && $2 == what { print $3 }' "$samples" | sort -g |
        awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}
ratio() {
    [ "$1" = - ] || [ "$2" = - ] || awk -v a="$1" -v b="$2" 'BEGIN { printf b == 0 ? "" : "%.2f", a / b }'
}
sample() {
    local kind=$1
    shift
    printf "$kind %s %s\n" "$@" >>"$samples"
}
