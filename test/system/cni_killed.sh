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
slow_packet_filter
W_ENV="PATH=$SLOW_PATH" launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24

step "held up until its address was freed: ADD fails, and leaves no interface that has it"
config 1.0.0 >"$WORK/config"
start_call() { # start_call COMMAND ID CONTAINER; its pid: $CALL
    start_cni host1 "$1" "$2" "$3" eth0 "$WORK/config" "$WORK/result"
    CALL=$!
}
holds() { holders host1 | grep -q "^$1 "; }
# The first ADD waits until the bridge has an address, which waits for the packet filter.
hold_packet_filter
start_call ADD webwebweb web
eventually 10 holds webwebweb || fail "ADD was given no address: $(cat "$WORK/result")"
lacks vethweplwebwebw on host1 ip link || fail "ADD was not held up: $(on host1 ip link)"
on host1 curl -sf -X DELETE http://127.0.0.1:6784/ip/webwebweb || fail "DELETE /ip"
go_on_filtering
! wait $CALL || fail "ADD succeeded with an address that is not its own: $(cat "$WORK/result")"
[ "$(jq -r .code "$WORK/result")" = 11 ] || fail "$(cat "$WORK/result")"
has eth0 inside web ip link && fail "an interface stays: $(inside web ip addr)"
! holds webwebweb || fail "left: $(holders host1)"

# Calls are killed at moments all over the time that one takes here, in microseconds.
took() {
    local begin=${EPOCHREALTIME/./}
    "$@" >/dev/null || fail "$*"
    echo $((${EPOCHREALTIME/./} - begin))
}
ADD_TIME=$(took cni host1 ADD warmwarm web eth0 "$(config 1.0.0)")
DEL_TIME=$(took cni host1 DEL warmwarm web eth0 "$(config 1.0.0)")
echo "   ADD takes $((ADD_TIME / 1000)) ms, DEL $((DEL_TIME / 1000)) ms"
MOMENTS=20
pause() { sleep "$(printf '%d.%06d' $(($2 * $1 / MOMENTS / 1000000)) $(($2 * $1 / MOMENTS % 1000000)))"; } # pause MOMENT TIME
kill_call() { # true: it was still under way
    local status=0
    kill -KILL $CALL 2>/dev/null || status=$?
    wait $CALL 2>/dev/null || true
    return $status
}
remember_state
empty=$(holders host1)

step "killed at any moment, then DEL: all is as before"
killed=0
for ((moment = 0; moment < MOMENTS; moment++)); do
    start_call ADD webwebweb web
    pause $moment "$ADD_TIME"
    ! kill_call || killed=$((killed + 1))
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    [ "$(holders host1)" = "$empty" ] || fail "killed at moment $moment, DEL left $(holders host1)"
done
expect_state_as_before "ADD killed and DEL"
[ $killed -gt 0 ] || fail "no ADD was killed: all were too quick"

step "killed, then ADD again: one address, a whole interface"
for ((moment = 0; moment < MOMENTS; moment++)); do
    start_call ADD webwebweb web
    pause $moment "$ADD_TIME"
    kill_call || true
    result=$(cni host1 ADD webwebweb web eth0 "$(config 1.0.0)") || fail "ADD again: $result"
    quietly cni host1 CHECK webwebweb web eth0 "$(with_result "$(config 1.0.0)" "$result")"
    [ "$(holders host1 | grep -c '^webwebweb [0-9./]*$')" = 1 ] || fail "$(holders host1)"
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
done
expect_state_as_before "ADD killed, ADD and DEL"

step "DEL killed, and the container deleted meanwhile: the next DEL finishes it"
killed=0
for ((moment = 0; moment < MOMENTS; moment++)); do
    cni host1 ADD webwebweb web eth0 "$(config 1.0.0)" >/dev/null || fail "ADD"
    start_call DEL webwebweb web
    pause $moment "$DEL_TIME"
    ! kill_call || killed=$((killed + 1))
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    has eth0 inside web ip link && fail "killed at moment $moment, DEL left an interface"
    [ "$(holders host1)" = "$empty" ] || fail "killed at moment $moment, DEL left $(holders host1)"
done
expect_state_as_before "DEL killed and DEL"
[ $killed -gt 0 ] || fail "no DEL was killed: all were too quick"
for moment in 1 5 10 15; do
    make_container "going$moment"
    cni host1 ADD going "going$moment" eth0 "$(config 1.0.0)" >/dev/null || fail "ADD"
    start_call DEL going "going$moment"
    pause $moment "$DEL_TIME"
    ip netns del "$TAG-going$moment"
    wait $CALL || fail "DEL while its container goes: $(cat "$WORK/result")"
done
[ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"

step "the peer killed during DEL: the interface is gone, whatever DEL says, and the address when it is repeated"
killed=0
for moment in 3 7 10 14 18; do
    cni host1 ADD webwebweb web eth0 "$(config 1.0.0)" >/dev/null || fail "ADD"
    peer=$(weaver_of host1)
    start_call DEL webwebweb web
    pause $moment "$DEL_TIME"
    kill -KILL "$peer"
    wait $CALL || killed=$((killed + 1))
    has eth0 inside web ip link && fail "the peer killed at moment $moment: DEL left the interface; it said $(cat "$WORK/result")"
    eventually 20 answers host1 || fail "the peer does not come back"
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    [ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"
done
[ $killed -gt 0 ] || fail "no DEL noticed: all were too quick"

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
for moment in 1 5 9 13 17; do
    make_container "brief$moment"
    start_call ADD brief "brief$moment"
    pause $moment "$ADD_TIME"
    ip netns del "$TAG-brief$moment"
    wait $CALL || true
    quietly cni host1 DEL brief "brief$moment" eth0 "$(config 1.0.0)"
done
[ "$(holders host1)" = "$empty" ] || fail "left: $(holders host1)"
pass
