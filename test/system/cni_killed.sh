#!/bin/bash
# weave-net killed at any moment of an ADD or DEL, or the peer under a DEL, leaves nothing that the next call does not put
# right; many at once do not disturb each other.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=cni_lib.sh
. "$(dirname "$0")/cni_lib.sh"
command -v jq >/dev/null || skip "needs jq"
command -v curl >/dev/null || skip "needs curl"

make_host host1
make_container web
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24
cni host1 ADD warmwarm web eth0 "$(config 1.0.0)" >/dev/null
cni host1 DEL warmwarm web eth0 "$(config 1.0.0)" >/dev/null
remember_state
empty=$(holders host1)

# A plugin started in the background as itself, so that its pid is known.
start_add() { # start_add ID
    CNI_COMMAND=ADD CNI_CONTAINERID=$1 CNI_NETNS=$(path_of web) CNI_IFNAME=eth0 CNI_PATH=$BIN \
        WEAVE_API_SOCKET=$(run_dir host1)/peer.sock ip netns exec "$TAG-host1" weave-net \
        <"$WORK/config" >"$WORK/result" 2>&1 &
    ADD_PID=$!
}
config 1.0.0 >"$WORK/config"

step "killed after 0 to 20 ms, then DEL: all is as before"
killed=0
for ((delay = 0; delay < 40; delay++)); do
    start_add webwebweb
    sleep "$(printf '0.%04d' $((delay * 5)))"
    ! kill -KILL $ADD_PID 2>/dev/null || killed=$((killed + 1))
    wait $ADD_PID 2>/dev/null || true
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    [ "$(holders host1)" = "$empty" ] || fail "killed after $delay half milliseconds, DEL left $(holders host1)"
done
expect_state_as_before "ADD killed and DEL"
[ $killed -gt 0 ] || fail "no ADD was killed: all were too quick"

step "killed, then ADD again: one address, a whole interface"
for ((delay = 0; delay < 40; delay += 2)); do
    start_add webwebweb
    sleep "$(printf '0.%04d' $((delay * 5)))"
    kill -KILL $ADD_PID 2>/dev/null || true
    wait $ADD_PID 2>/dev/null || true
    result=$(cni host1 ADD webwebweb web eth0 "$(config 1.0.0)") || fail "ADD again: $result"
    quietly cni host1 CHECK webwebweb web eth0 "$(with_result "$(config 1.0.0)" "$result")"
    [ "$(holders host1 | grep -c '^webwebweb [0-9./]*$')" = 1 ] || fail "$(holders host1)"
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
done
expect_state_as_before "ADD killed, ADD and DEL"

step "DEL killed, and the container deleted meanwhile: the next DEL finishes it"
start_del() { # start_del ID CONTAINER
    CNI_COMMAND=DEL CNI_CONTAINERID=$1 CNI_NETNS=$(path_of "$2") CNI_IFNAME=eth0 CNI_PATH=$BIN \
        WEAVE_API_SOCKET=$(run_dir host1)/peer.sock ip netns exec "$TAG-host1" weave-net \
        <"$WORK/config" >"$WORK/result" 2>&1 &
    DEL_PID=$!
}
killed=0
for ((delay = 0; delay < 40; delay++)); do
    cni host1 ADD webwebweb web eth0 "$(config 1.0.0)" >/dev/null || fail "ADD"
    start_del webwebweb web
    sleep "$(printf '0.%04d' $((delay * 5)))"
    ! kill -KILL $DEL_PID 2>/dev/null || killed=$((killed + 1))
    wait $DEL_PID 2>/dev/null || true
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    has eth0 inside web ip link && fail "killed after $delay half milliseconds, DEL left an interface"
    [ "$(holders host1)" = "$empty" ] || fail "killed after $delay half milliseconds, DEL left $(holders host1)"
done
expect_state_as_before "DEL killed and DEL"
[ $killed -gt 0 ] || fail "no DEL was killed: all were too quick"
for delay in 1 3 6 10; do
    make_container "going$delay"
    cni host1 ADD going "going$delay" eth0 "$(config 1.0.0)" >/dev/null || fail "ADD"
    start_del going "going$delay"
    sleep "$(printf '0.%03d' $delay)"
    ip netns del "$TAG-going$delay"
    wait $DEL_PID || fail "DEL while its container goes: $(cat "$WORK/result")"
done
[ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"

step "the peer killed during DEL: the interface is gone, whatever DEL says, and the address when it is repeated"
killed=0
for delay in 2 6 10 14 18; do
    cni host1 ADD webwebweb web eth0 "$(config 1.0.0)" >/dev/null || fail "ADD"
    peer=$(weaver_of host1)
    start_del webwebweb web
    sleep "$(printf '0.%03d' $delay)"
    kill -KILL "$peer"
    wait $DEL_PID || killed=$((killed + 1))
    has eth0 inside web ip link && fail "the peer killed after $delay ms: DEL left the interface; it said $(cat "$WORK/result")"
    eventually 20 answers host1 || fail "the peer does not come back"
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    [ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"
done
[ $killed -gt 0 ] || fail "no DEL noticed: all were too quick"

step "held up until its address was freed: ADD fails, and leaves no interface that has it"
half_way() { holders host1 | grep -q '^webwebweb ' && lacks vethweplwebwebw on host1 ip link; }
for ((try = 0; try < 400; try++)); do
    start_add webwebweb
    sleep "$(printf '0.%04d' $((try % 100 * 3)))"
    ! kill -STOP $ADD_PID 2>/dev/null || ! half_way || break
    kill -CONT $ADD_PID 2>/dev/null || true
    wait $ADD_PID 2>/dev/null || true
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
done
half_way || fail "no ADD was held up between address and interface"
on host1 curl -sf -X DELETE http://127.0.0.1:6784/ip/webwebweb || fail "DELETE /ip"
kill -CONT "$ADD_PID"
! wait "$ADD_PID" || fail "ADD succeeded with an address that is not its own: $(cat "$WORK/result")"
[ "$(jq -r .code "$WORK/result")" = 11 ] || fail "$(cat "$WORK/result")"
has eth0 inside web ip link && fail "an interface stays: $(inside web ip addr)"
[ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"

step "20 at once: 20 addresses, and they all work"
for ((i = 1; i <= 20; i++)); do make_container "many$i"; done
pids=()
for ((i = 1; i <= 20; i++)); do
    cni host1 ADD "many-$i" "many$i" eth0 "$(config 1.0.0)" >"$WORK/many.$i" &
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || fail "one of 20 ADDs failed: $(grep -h msg "$WORK"/many.*)"; done
[ "$(jq -r '.ips[0].address' "$WORK"/many.* | sort -u | wc -l)" = 20 ] || fail "an address was given twice"
expect_ping many1 "$(jq -r '.ips[0].address' "$WORK/many.20" | cut -d/ -f1)"
for ((i = 1; i <= 20; i++)); do cni host1 DEL "many-$i" "many$i" eth0 "$(config 1.0.0)" & done
wait
[ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"

step "a container that ends during ADD"
for delay in 1 3 6 10 15; do
    make_container "brief$delay"
    CNI_COMMAND=ADD CNI_CONTAINERID=brief CNI_NETNS=$(path_of "brief$delay") CNI_IFNAME=eth0 CNI_PATH=$BIN \
        WEAVE_API_SOCKET=$(run_dir host1)/peer.sock ip netns exec "$TAG-host1" weave-net <"$WORK/config" >/dev/null 2>&1 &
    sleep "$(printf '0.%03d' $delay)"
    ip netns del "$TAG-brief$delay"
    wait $! || true
    quietly cni host1 DEL brief "brief$delay" eth0 "$(config 1.0.0)"
done
[ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"
pass
