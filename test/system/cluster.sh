#!/bin/bash
# What operators were promised, typed as they would: a uniform dynamic cluster that starts and grows under partition, a
# host that burns, a seed peer that leaves, a peer that stops and comes back.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

ALL=(host1 host2 host3 host4 host5 host6 host7)
make_cluster_hosts
for host in "${ALL[@]}"; do make_container "c-$host"; done
more_clean_up() { remove_host_files; }

attach() { on "$1" weave attach "$(path_of "c-$1")"; }
declare -A ADDRESS
expect_address() { # expect_address HOST: for its container, one that no other has; the one it has, if any
    local address other
    address=$(attach "$1") || fail "no address on $1: $address $(on "$1" weave status ipam)"
    [ -z "${ADDRESS[$1]:-}" ] || [ "$address" = "${ADDRESS[$1]}" ] || fail "$1 had ${ADDRESS[$1]}, now $address"
    for other in "${!ADDRESS[@]}"; do
        [ "$other" = "$1" ] || [ "${ADDRESS[$other]}" != "$address" ] || fail "$1 got $address, which $other has"
    done
    ADDRESS[$1]=$address
}
expect_pings() { # expect_pings FROM HOSTS...: between their containers
    local host
    for host in "${@:2}"; do expect_ping "c-$1" "${ADDRESS[$host]%/*}"; done
}
share_of() { on "$1" weave status ipam | sed -nE "s/^$(name_of "$2")\($2\) +([0-9]+) IPs .*/\1/p"; } # as HOST sees OTHER's
shares_are() { # shares_are HOST "OTHER SHARE"...
    local want
    for want in "${@:2}"; do [ "$(share_of "$1" "${want% *}")" = "${want#* }" ] || return 1; done
}
expect_shares() { eventually 60 shares_are "$@" || fail "shares as $1 sees them: $(on "$1" weave status ipam)"; }
owns_nothing() { [ -z "$(share_of "$1" "$2")" ]; } # owns_nothing HOST OTHER

step "three seed peers start, and hand out addresses, while none hears another"
for host in host1 host2 host3; do unplug "$host"; done
for host in host1 host2 host3; do boot "$host"; done
for host in host1 host2 host3; do expect_address "$host"; done

step "the partition ends: one network, nothing to be mended by hand"
for host in host1 host2 host3; do plug "$host"; done
expect_mesh 90 host1 host2 host3
for host in host1 host2 host3; do expect_shares "$host" "host1 524288" "host2 262144" "host3 262144"; done
expect_pings host1 host2 host3

step "host3 burns: one that is left takes its addresses over"
burn host3
rm -rf "$(dirname "$(store_of host3)")"
ip netns del "$TAG-c-host3"
unset "ADDRESS[host3]"
eventually 90 has "unreachable!" on host1 weave status ipam || fail "host3 is not missed: $(on host1 weave status ipam)"
expect 0 "262144 IPs taken over from host3" on host1 weave rmpeer host3
[ "$OUT" = "262144 IPs taken over from host3" ] || fail "rmpeer printed \"$OUT\""
for host in host1 host2; do expect_shares "$host" "host1 786432" "host2 262144"; done

step "host3 is built anew: the same command, and it borrows like any other"
ip netns add "$TAG-c-host3"
boot host3
expect_mesh 90 host1 host2 host3
expect_address host3
expect_pings host3 host1 host2

step "four more peers at once, half of them cut off: the same command; they join when they can"
for host in host6 host7; do unplug "$host"; done
LAUNCHES=()
for host in host4 host5 host6 host7; do
    # shellcheck disable=SC2086
    start "$host" weave launch --no-restart --name "::${host#host}" --nickname "$host" --ipalloc-init "seed=$SEED_PEERS" $PEERS >/dev/null
    LAUNCHES+=($!)
done
for pid in "${LAUNCHES[@]}"; do wait "$pid" || fail "a launch of four at once failed"; done
for host in host4 host5; do expect_address "$host"; done
for host in host6 host7; do plug "$host"; done
expect_mesh 120 "${ALL[@]}"
for host in host6 host7; do expect_address "$host"; done
expect_pings host7 "${ALL[@]::6}"

step "a host reboots: it is back with what it owned"
OWNED=$(share_of host4 host4) # host1 may not have heard yet how host4 is called
[ -n "$OWNED" ] || fail "host4 owns nothing: $(on host4 weave status ipam)"
burn host4
ip netns del "$TAG-c-host4"
unset "ADDRESS[host4]"
ip netns add "$TAG-c-host4"
boot host4
expect_mesh 90 "${ALL[@]}"
expect_shares host1 "host4 $OWNED"
expect_address host4

step "a peer stops and starts again: it picks up where it left off"
expect 0 "" on host1 weave stop
boot host1
expect_mesh 90 "${ALL[@]}"
expect_address host1
expect_pings host1 host4 host7

step "a seed peer leaves while another is left; the others are told to forget it"
expect 0 "" on host2 weave reset
for host in host1 host3 host4 host5 host6 host7; do
    expect 0 "" on "$host" weave forget host2
done
for host in host1 host3 host4 host5 host6 host7; do
    eventually 60 owns_nothing "$host" host2 || fail "$host: $(on "$host" weave status ipam)"
    eventually 60 lacks "$(address_of host2):" connections "$host" || fail "$host still dials host2: $(connections "$host")"
done
expect_mesh 60 host1 host3 host4 host5 host6 host7
for host in host1 host3 host5; do expect_address "$host"; done
pass
