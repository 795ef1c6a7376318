# shellcheck shell=bash
# shellcheck disable=SC2034 # used by who sources this
# A peer of Weave Net 2.8 beside ours, for benchmarks that source this after test/system/mesh_lib.sh. REFERENCE: its `weaver`.
#
#   reference_peer HOST ARGUMENTS...  starts one on a mesh host; $reference_pid is it
#   reference_says HOST PATTERN       what it tells of its connections has that
#   plug_in HOST BRIDGE CONTAINER ADDRESS [MTU]   a container on a bridge, by hand
#   tx_off CONTAINER                  as 2.8 does for every container on a bridge
#   median KIND WHAT, ratio VALUE BASE   of the lines "KIND WHAT VALUE" of $samples

reference_pid=
reference_peer() {
    local host=$1
    shift
    mkdir -p "$WORK/$host"
    start "$host" CHECKPOINT_DISABLE=1 unshare -m -p -f --kill-child --mount-proc --wd "$WORK/$host" "$REFERENCE" \
        --name "$(name_of "$host")" --nickname "$host" --no-dns --no-discovery --docker-api= \
        --datapath datapath --weave-bridge weave --db-prefix "$WORK/$host/weave" \
        --ipalloc-range 10.48.0.0/12 --http-addr 127.0.0.1:6784 --status-addr 127.0.0.1:6782 "$@" \
        >"$WORK/$host/log" 2>&1
    eventually 30 reference_says "$host" "" || fail "no reference: $(tail -20 "$WORK/$host/log")"
    reference_pid=$(pgrep -P $!)
}
reference_says() { has "$2" on "$1" curl -s -f 127.0.0.1:6784/status/connections; }

plug_in() {
    local mtu=${5:-1376}
    ip -n "$TAG-$1" link add "to-$2" mtu "$mtu" type veth peer name ethwe mtu "$mtu" netns "$TAG-$3"
    ip -n "$TAG-$1" link set "to-$2" master "$2" up
    ip -n "$TAG-$3" addr add "$4/16" dev ethwe
    ip -n "$TAG-$3" link set ethwe up
}
# shellcheck disable=SC2016 # Perl's variables
tx_off() { # SIOCETHTOOL, ETHTOOL_STXCSUM
    inside "$1" perl -MSocket -e 'socket(S, PF_INET, SOCK_DGRAM, 0); my $value = pack("LL", 0x17, 0);
        my $request = pack("a16P", "ethwe", $value); ioctl(S, 0x8946, $request) or die $!'
}

samples=$WORK/samples
median() {
    awk -v kind="$1" -v what="$2" '$1 == kind && $2 == what { print $3 }' "$samples" | sort -g |
        awk '{ v[NR] = $1 } END { print NR ? v[int((NR + 1) / 2)] : "-" }'
}
ratio() {
    [ "$1" = - ] || [ "$2" = - ] || awk -v a="$1" -v b="$2" 'BEGIN { printf b == 0 ? "" : "%.2f", a / b }'
}
sample() { # sample KIND WHAT VALUE WHAT VALUE...
    local kind=$1
    shift
    printf "$kind %s %s\n" "$@" >>"$samples"
}
