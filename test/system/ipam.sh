#!/bin/bash
# Addresses without being named: two, then three peers share a range, through crashes, a dead peer, a reset and peers that
# do not belong together.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done
for name in a1 a2 a3 b1 b2 c1 c2; do make_container "$name"; done

attach() { on "$1" weave attach "$(path_of "$2")"; } # attach HOST CONTAINER: prints the address
ADDRESSES=" "
expect_new_address() { # expect_new_address HOST CONTAINER: one that nobody has
    local address
    address=$(attach "$1" "$2") || fail "no address for $2 on $1: $address $(on "$1" weave status ipam)"
    [[ $address =~ ^10\.(3[2-9]|4[0-7])\.[0-9]+\.[0-9]+/12$ ]] || fail "$2 got \"$address\""
    [[ $ADDRESSES != *" $address "* ]] || fail "$2 got $address, which somebody has: $ADDRESSES"
    ADDRESSES+="$address "
    ADDRESS=$address
}
share_of() { on "$1" weave status ipam | sed -nE "s/^$(name_of "$2")\($2\) +([0-9]+) IPs .*/\1/p"; } # as HOST sees OTHER's
shares_are_known() { # shares_are_known HOST OTHERS...: and add up to the range
    local host=$1 sum=0 other share
    for other in "${@:2}"; do
        share=$(share_of "$host" "$other")
        sum=$((sum + ${share:-0}))
    done
    [ "$sum" = 1048576 ]
}
owns_nothing() { [ -z "$(share_of "$1" "$2")" ]; } # owns_nothing HOST OTHER
ipam_state_is() { has "         Status: $2" on "$1" weave status; }

step "nothing happens before somebody asks"
launch_peer host1 --ipalloc-init consensus=2
ipam_state_is host1 idle || fail "status: $(on host1 weave status)"
expect 0 "" on host1 weave status ipam

step "below the quorum an attach waits, and goes when its caller does"
start host1 weave prime >"$WORK/prime.out" 2>&1
prime_pid=$!
start host1 curl -s -m 100 -w '%{http_code}' http://127.0.0.1:6784/ring >"$WORK/ring.out" 2>&1
ring_pid=$!
start host1 timeout 3 weave attach "$(path_of a1)" >"$WORK/attach.out" 2>&1
attach_pid=$!
eventually 10 ipam_state_is host1 "awaiting consensus (quorum: 2, known: 1)" || fail "status: $(on host1 weave status)"
wait "$attach_pid" && fail "an attach without quorum printed $(cat "$WORK/attach.out")"
expect 0 "" on host1 weave ps
expect 0 "" on host1 weave detach "$(path_of a1)" # needs no ring
alive "$prime_pid" || fail "weave prime without quorum: $(cat "$WORK/prime.out")"
alive "$ring_pid" || fail "GET /ring without quorum: $(cat "$WORK/ring.out")"

step "with a second peer both agree, and every container gets an address of its own"
launch_peer host2 --ipalloc-init consensus=2 "$(address_of host1)"
expect_mesh 30 host1 host2
wait "$prime_pid" || fail "weave prime, when there is a quorum: $(cat "$WORK/prime.out")"
wait "$ring_pid" || fail "GET /ring, when there is a quorum: $(cat "$WORK/ring.out")"
[ "$(cat "$WORK/prime.out" "$WORK/ring.out")" = 200 ] || fail "they print $(cat "$WORK/prime.out" "$WORK/ring.out")"
expect 0 "" on host1 timeout 60 weave prime # there is one
expect_new_address host1 a1
A1=$ADDRESS
expect_new_address host1 a2
expect_new_address host2 b1
B1=$ADDRESS
eventually 60 shares_are_known host1 host1 host2 || fail "shares: $(on host1 weave status ipam)"
eventually 60 shares_are_known host2 host1 host2 || fail "shares: $(on host2 weave status ipam)"
expect 0 "$A1" attach host1 a1 # again: the same
expect 0 "Status: ready" on host1 weave status
expect 0 "(2 active)" on host1 weave status ipam

step "kill -9: nobody loses an address, and none is given twice"
for host in host1 host2; do crash "$host"; done
expect_mesh 60 host1 host2
expect 0 "$A1" attach host1 a1
expect 0 "$B1" attach host2 b1
expect_new_address host1 a3
expect_new_address host2 b2

step "a detached address is given to the next"
LAST=$ADDRESS
expect 0 "$LAST" on host2 weave detach "$(path_of b2)"
expect 0 "$LAST" attach host2 b2

step "the host takes part; hide frees the address"
EXPOSED=$(on host2 weave expose)
[[ $ADDRESSES != *" $EXPOSED "* ]] || fail "the host got $EXPOSED, which somebody has"
expect 0 "$EXPOSED" on host2 weave expose
expect 0 "$EXPOSED" on host2 weave hide
expect 0 "" on host2 weave hide

step "a third peer comes late and is given space"
launch_peer host3 --ipalloc-init consensus=2 "$(address_of host1)"
expect_mesh 60 host1 host2 host3
expect_new_address host3 c1
eventually 60 shares_are_known host3 host1 host2 host3 || fail "shares: $(on host3 weave status ipam)"

step "HTTP says the same"
http() { on "$1" curl -s -o - -w ' %{http_code}' "${@:3}" "http://127.0.0.1:6784$2"; } # http HOST PATH CURL...
[ "$(http host1 /ip/web -X POST)" = "$(on host1 curl -s http://127.0.0.1:6784/ip/web) 200" ] || fail "POST twice differs"
WEB=$(on host1 curl -s http://127.0.0.1:6784/ip/web)
[[ $ADDRESSES != *" $WEB "* ]] || fail "web got $WEB, which somebody has"
[ "$(http host1 "/ip/other/$WEB" -X PUT)" = "Unable to claim: address $WEB is already owned by web"$'\n'" 400" ] ||
    fail "claim: $(http host1 "/ip/other/$WEB" -X PUT)"
[ "$(http host1 /ip/web -X DELETE)" = " 204" ] || fail "DELETE /ip/web"
[ "$(http host1 /ip/web -X DELETE)" = "Delete: no addresses for web"$'\n'" 400" ] || fail "DELETE /ip/web twice"
[ "$(http host1 /ring)" = " 200" ] || fail "GET /ring"
[ "$(http host1 /ipinfo/defaultsubnet)" = "10.32.0.0/12 200" ] || fail "GET /ipinfo/defaultsubnet"
[ "$(http host1 /ip/x/10.9.0.0/31 -X POST)" = "invalid subnet - smaller than minimum size 4: 10.9.0.0/31"$'\n'" 400" ] ||
    fail "POST of a small subnet"
has "\"addrs\":[\"$A1\"]" on host1 curl -s http://127.0.0.1:6784/ip || fail "GET /ip: $(on host1 curl -s http://127.0.0.1:6784/ip)"
has 'weave_ips{state="local-used"} 3' on host1 curl -s http://127.0.0.1:6782/metrics || fail "weave_ips"

step "a dead peer's addresses are taken over by one that is told so"
on host3 weave stop
eventually 90 has "unreachable!" on host1 weave status ipam || fail "shares: $(on host1 weave status ipam)"
OWNED=$(share_of host1 host3)
expect 0 "$OWNED IPs taken over from host3" on host1 weave rmpeer host3
expect 0 "0 IPs taken over from nobody" on host1 weave rmpeer nobody
eventually 60 owns_nothing host2 host3 || fail "shares: $(on host2 weave status ipam)"

step "reset gives everything away"
expect 0 "" on host2 weave reset
eventually 30 owns_nothing host1 host2 || fail "shares: $(on host1 weave status ipam)"
eventually 30 shares_are_known host1 host1 || fail "shares: $(on host1 weave status ipam)"

step "another range, or other seeds: no connection, and both say why"
# Both dial, so one of two connections ends for being the second.
on host1 weave connect "$(address_of host2)"
expect_refusal() { # expect_refusal TEXT FLAGS OF HOST2...
    local text=$1 host
    launch_peer host2 "${@:2}" "$(address_of host1)"
    for host in host1 host2; do
        eventually 60 says_of_connections "$host" "$text" || fail "connections of $host: $(connections "$host")"
    done
    expect 0 "Status: ready" on host1 weave status
    expect 0 "" on host2 weave reset
}
expect_refusal "Incompatible IP allocation ranges (received: " --ipalloc-range 10.64.0.0/12 --ipalloc-init "seed=::1,::2"
expect_refusal "IP allocation was seeded by different peers (received: " --ipalloc-init "seed=::2,::3"

step "addresses come from the default subnet, and from another range after a change"
launch_peer host2 --ipalloc-range 10.64.0.0/16 --ipalloc-default-subnet 10.64.5.0/24 --ipalloc-init seed=::2
expect 0 "10.64.5.1/24" attach host2 b1
expect 0 "10.64.0.1/16" on host2 weave attach net:10.64.0.0/16 "$(path_of b2)"
expect 0 "DefaultSubnet: 10.64.5.0/24" on host2 weave status
expect 0 "" on host2 weave stop
launch_peer host2 --ipalloc-range 10.96.0.0/30 --ipalloc-init seed=::2
expect 0 "10.96.0.1/30" attach host2 c2
expect 0 "10.64.5.1/24" on host2 weave ps "$(path_of b1)" # what it has it keeps

step "a full range: who asks waits until an address is free, and the status says so"
expect 0 "10.96.0.2/30" attach host2 b1
start host2 timeout 60 weave attach "$(path_of b2)" >"$WORK/attach.out" 2>&1
attach_pid=$!
eventually 10 ipam_state_is host2 "waiting for IP(s) to become available" || fail "status: $(on host2 weave status)"
expect 0 "10.96.0.1/30" on host2 weave detach "$(path_of c2)"
wait "$attach_pid" || fail "an attach that waited: $(cat "$WORK/attach.out")"
[ "$(cat "$WORK/attach.out")" = 10.96.0.1/30 ] || fail "an attach that waited got $(cat "$WORK/attach.out")"

step "an observer primes; when those who own all addresses are gone it says so"
expect 0 "" on host3 weave reset --force
launch_peer host3 --ipalloc-range 10.96.0.0/30 --ipalloc-init observer
start host3 timeout 60 weave prime
prime_pid=$!
eventually 10 ipam_state_is host3 priming || fail "status: $(on host3 weave status)"
expect 0 "" on host3 weave connect "$(address_of host2)"
wait "$prime_pid" || fail "an observer never has a ring: $(on host3 weave status)"
eventually 10 ipam_state_is host3 ready || fail "status: $(on host3 weave status)"
expect 0 "" on host2 weave stop
eventually 30 ipam_state_is host3 "all IP ranges owned by unreachable peers - use 'rmpeer' if they are dead" ||
    fail "status: $(on host3 weave status)"

step "what a 2.8 peer has left is taken over, and its file kept"
expect 0 "" on host3 weave reset --force
store=$(store_of host3)
mkdir -p "$(dirname "$store")"
cp "$(dirname "$0")/../golden/weave-2.8.db" "$store" # of a peer ::1 that owned everything
launch host3 --name ::1 --nickname host3
owned=$(on host3 curl -s http://127.0.0.1:6784/ip)
[[ $owned == *'"containerid":"4b0d7bb1a2b3","addrs":["10.32.0.1/12","10.2.1.1/24"]'* ]] || fail "addresses: $owned"
expect 0 "" on host3 weave attach "$(path_of c1)"
[[ $OUT != 10.32.0.1/* && $OUT != 10.32.0.9/* ]] || fail "$OUT was somebody's"
cmp "$(dirname "$0")/../golden/weave-2.8.db" "$store.weave-2.8" || fail "the file of 2.8 was changed"
pass
