#!/bin/bash
# soak.sh [HOSTS [SECONDS]]: a cluster that nobody looks after. Its peers are killed, stopped and reset, its hosts reboot or
# burn down, its network falls apart and heals, as drawn from a seed, while containers on every host come and go. Somebody
# outside keeps a book of who was given which address. Whatever happens, no address is held twice, containers reach each
# other within a side of the network, and when all is healed nothing of the range is lost.
#
# Without arguments 3 hosts, then 8, for a time that suits a test run; `cmake --build build/ci --target soak` is an hour.
# WEAVE_TEST_SEED=n draws the same misfortunes again.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=cluster_lib.sh
. "$(dirname "$0")/cluster_lib.sh"

SEED=${WEAVE_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
echo "to see this again: WEAVE_TEST_SEED=$SEED $0 $*"
RANDOM=$SEED

# Small, so that peers run dry and borrow.
RANGE=10.32.0.0/24
RANGE_SIZE=256
BOOT_FLAGS=(--ipalloc-range "$RANGE")
CHURN=3 # containers of a host that come and go, beside one that stays
ASKING=()
BOOK=$WORK/book
mkdir "$BOOK"

# --- The book: a folder for each address that somebody was given, made before anybody else can be and gone before it is given
# back. So who finds one there already was given an address in use.

enter() { # enter ADDRESS HOST CONTAINER
    if ! mkdir "$BOOK/${1%/*}" 2>/dev/null; then
        echo "$2 gave ${1%/*} to $3, and $(cat "$BOOK/${1%/*}/holder") has it" >>"$WORK/twice"
        return 1
    fi
    echo "$2 $3" >"$BOOK/${1%/*}/holder"
}
strike() { rm -rf "${BOOK:?}/${1%/*}"; } # strike ADDRESS
strike_host() { # strike_host HOST: all that its containers had
    local holder
    for holder in "$BOOK"/*/holder; do
        [[ $(cat "$holder" 2>/dev/null) != "$1 "* ]] || rm -rf "$(dirname "$holder")"
    done
}
expect_no_twice() { [ ! -s "$WORK/twice" ] || fail "an address was given twice: $(cat "$WORK/twice")"; }

# On the interfaces themselves, whatever anybody was told. Two looks: the first takes its time, and an address may move meanwhile.
held_twice() {
    local container
    for container in "${CONTAINERS[@]}"; do
        ip -n "$TAG-$container" -o -4 addr show dev ethwe 2>/dev/null || true # may have none, or be gone by now
    done | awk '{ print $4 }' | sort | uniq -d
}
expect_interfaces_differ() {
    local first
    first=$(held_twice)
    [ -z "$first" ] || [ "$first" != "$(held_twice)" ] || fail "two interfaces have $first"
}

# --- Who asks for addresses, on every host: a process in the background that attaches and detaches until it is told to leave.

# A process that asks pauses while its host is down, and says so by a file.
ask_without_end() { # ask_without_end HOST SEED
    local host=$1 container address
    local -A held=()
    RANDOM=$2
    while [ ! -e "$WORK/stop" ]; do
        if [ -e "$WORK/down.$host" ]; then
            held=()
            touch "$WORK/idle.$host"
            sleep 0.1
            continue
        fi
        container=c$((1 + RANDOM % CHURN))-$host
        if [ -z "${held[$container]:-}" ]; then
            # May wait in vain: the peer is dead, or its side of the network has nothing left.
            if address=$(on "$host" timeout 5 weave attach "$(path_of "$container")" 2>/dev/null); then
                enter "$address" "$host" "$container" || return 0
                held[$container]=$address
                echo >>"$WORK/attached"
            fi
        else
            strike "${held[$container]}"
            held[$container]=
            on "$host" weave detach "$(path_of "$container")" >/dev/null 2>&1 || true
        fi
        sleep "0.$((RANDOM % 5))"
    done
}

# --- The network: two switches with nothing between them. A side is a switch and the hosts on it.

declare -A SIDE
put() { # put HOST 0|1
    ip -n "$TAG-net" link set "$1" master "br$2"
    SIDE[$1]=$2
}
hosts_on() { # hosts_on 0|1
    local host
    for host in "${ALL[@]}"; do [ "${SIDE[$host]}" != "$1" ] || echo "$host"; done
}
whole() { [ -z "$(hosts_on 1)" ]; }

# Peers of a side are connected, each to each. What they know of the other side ages in its own time.
side_is_meshed() {
    local host count=$#
    for host in "$@"; do
        # Not exactly: a connection across the rift may not have been missed yet.
        [ "$(count_established_to "$host" "$@")" -ge $((count - 1)) ] || return 1
    done
}
count_established_to() { # count_established_to HOST OTHERS...
    local host=$1 other count=0 all
    shift
    all=$(connections "$host")
    for other in "$@"; do
        ! grep -q " established .*$(name_of "$other")" <<<"$all" || count=$((count + 1))
    done
    echo "$count"
}

# --- What befalls a host. Afterwards its peer runs again.

stop_asking() { # stop_asking HOST
    rm -f "$WORK/idle.$1"
    touch "$WORK/down.$1"
}
wait_until_idle() { eventually 30 test -e "$WORK/idle.$1" || fail "who asks on $1 does not end"; }
go_on_asking() { rm -f "$WORK/down.$1"; }

new_containers() { # new_containers HOST: those that it had died with it
    local n
    strike_host "$1"
    for n in $(seq 0 "$CHURN"); do
        ip netns del "$TAG-c$n-$1" 2>/dev/null || true
        ip netns add "$TAG-c$n-$1"
        ip -n "$TAG-c$n-$1" link set lo up
    done
    unset "RESIDENT[$1]"
}
declare -A RESIDENT # the address of the container that stays, c0-HOST
attach_resident() { # attach_resident HOST: it gets an address, the same as before if it had one
    local address
    address=$(on "$1" timeout 20 weave attach "$(path_of "c0-$1")" 2>&1) || { echo "$address" >"$WORK/refused.$1"; return 1; }
    if [ -z "${RESIDENT[$1]:-}" ]; then
        RESIDENT[$1]=$address
        enter "$address" "$1" "c0-$1" || expect_no_twice
    fi
    [ "${RESIDENT[$1]}" = "$address" ] || fail "the container of $1 that stays had ${RESIDENT[$1]}, and now $address"
}

befall_crash() { # its peer dies, between two instructions
    kill -KILL "$(weaver_of "$1")"
    sleep "$((RANDOM % 3)).$((RANDOM % 10))"
    boot "$1"
}
befall_restart() {
    expect 0 "" on "$1" weave stop
    boot "$1"
}
befall_reboot() {
    stop_asking "$1"
    burn "$1"
    wait_until_idle "$1"
    new_containers "$1"
    boot "$1"
    go_on_asking "$1"
}
# Its peer gives all it has away and starts from nothing; its containers go first, as their addresses do.
befall_reset() {
    stop_asking "$1"
    wait_until_idle "$1"
    new_containers "$1"
    expect 0 "" on "$1" weave reset
    boot "$1"
    go_on_asking "$1"
}
# The host is lost with its disk, two operators take over what it owned, and it is built anew.
# Not before all have a vote again: who was just reset, or built anew, has none for a while.
befall_fire() {
    local host=$1 one other operator
    eventually 120 all_vote || fail "not all of ${ALL[*]} have a vote: $(voters_of "${ALL[0]}")"
    stop_asking "$host"
    burn "$host"
    rm -rf "$(dirname "$(store_of "$host")")"
    wait_until_idle "$host"
    strike_host "$host"
    one=$(another_host "$host")
    other=$(another_host "$host" "$one")
    for operator in "$one" ${other:+"$other"}; do
        eventually 90 missed_by "$operator" "$host" || fail "$operator does not miss $host: $(connections "$operator")"
    done
    # Both may find that nothing is left to take: the other was quicker, or it owned nothing.
    for operator in "$one" ${other:+"$other"}; do
        eventually 60 take_over "$operator" "$host" || fail "$operator does not take over: $(cat "$WORK/takeover.$operator")"
    done
    new_containers "$host"
    boot "$host"
    go_on_asking "$host"
}
voters_of() { on "$1" curl -s http://127.0.0.1:6782/metrics | grep '^weave_ipam_voters'; }
all_vote() {
    local host
    for host in "${ALL[@]}"; do
        has "weave_ipam_voters{state=\"reachable\"} ${#ALL[@]}" voters_of "$host" || return 1
    done
}
missed_by() { lacks "$(name_of "$2")" established_of "$1"; } # missed_by HOST OTHER
established_of() { connections "$1" | grep ' established '; }
take_over() { # take_over HOST OTHER
    on "$1" weave rmpeer "$(name_of "$2")" >"$WORK/takeover.$1" 2>&1
}
another_host() { # another_host HOSTS...: a drawn one that is none of them; nothing if there is none
    local host candidates=()
    for host in "${ALL[@]}"; do [[ " $* " == *" $host "* ]] || candidates+=("$host"); done
    [ ${#candidates[@]} = 0 ] || echo "${candidates[RANDOM % ${#candidates[@]}]}"
}

# The network falls apart. On either side is a host that all dial: who starts on a side without one knows nobody there.
befall_split() {
    local host one other dialled=("${ALL[@]:0:3}")
    whole || return 0
    for host in "${ALL[@]}"; do put "$host" $((RANDOM % 2)); done
    one=$((RANDOM % ${#dialled[@]}))
    other=$(((one + 1 + RANDOM % (${#dialled[@]} - 1)) % ${#dialled[@]}))
    put "${dialled[one]}" 0
    put "${dialled[other]}" 1
    echo "   $(hosts_on 0 | xargs) | $(hosts_on 1 | xargs)"
}
befall_heal() {
    local host
    for host in "${ALL[@]}"; do put "$host" 0; done
}

# --- What must be so.

expect_side() { # expect_side HOSTS...: they find each other, and their containers do
    local host other
    eventually 120 side_is_meshed "$@" || fail "$* are no mesh: $(tell_of "$@")"
    for host in "$@"; do
        # On a side that has no address left there may be none to give.
        if ! eventually 60 attach_resident "$host"; then
            ! whole || fail "no address on $host: $(cat "$WORK/refused.$host"; on "$host" weave status ipam)"
        fi
    done
    for host in "$@"; do
        for other in "$@"; do
            [ "$host" = "$other" ] || [ -z "${RESIDENT[$host]:-}" ] || [ -z "${RESIDENT[$other]:-}" ] ||
                eventually 60 can_ping "c0-$host" "${RESIDENT[$other]%/*}" || fail "$host does not reach ${RESIDENT[$other]} of $other: $(tell_of "$host" "$other")"
        done
    done
}
expect_all_well() {
    local side
    for side in 0 1; do
        mapfile -t hosts < <(hosts_on "$side")
        [ ${#hosts[@]} = 0 ] || expect_side "${hosts[@]}"
    done
    expect_no_twice
    expect_interfaces_differ
}
owned_in_all() { on "$1" weave status ipam | sed -nE 's/^[^ ]+ +([0-9]+) IPs .*/\1/p' | awk '{ sum += $1 } END { print sum }'; }

soak() { # soak HOSTS SECONDS
    local count=$1 end rounds=0 n host what drawn
    ALL=()
    for n in $(seq "$count"); do ALL+=("host$n"); done
    rm -f "$WORK"/stop "$WORK"/attached
    make_cluster_hosts
    ip -n "$TAG-net" link add br1 type bridge
    ip -n "$TAG-net" link set br1 up
    for host in "${ALL[@]}"; do
        for n in $(seq 0 "$CHURN"); do make_container "c$n-$host"; done
        SIDE[$host]=0
    done
    for host in "${ALL[@]}"; do boot "$host"; done
    expect_all_well
    ASKING=()
    for n in $(seq "$count"); do
        ask_without_end "host$n" $((SEED + n)) &
        ASKING+=($!)
    done

    end=$((SECONDS + $2))
    while [ $SECONDS -lt $end ]; do
        if whole; then
            drawn=(crash crash restart reboot reset fire split split)
        else
            drawn=(crash crash restart reboot heal heal)
        fi
        what=${drawn[RANDOM % ${#drawn[@]}]}
        host=${ALL[RANDOM % count]}
        echo "$SECONDS s: $what $host"
        "befall_$what" "$host"
        expect_all_well
        rounds=$((rounds + 1))
    done

    befall_heal
    expect_all_well
    touch "$WORK/stop"
    wait "${ASKING[@]}"
    expect_no_twice
    expect_mesh 120 "${ALL[@]}"
    for host in "${ALL[@]}"; do
        eventually 60 owns_the_range "$host" || fail "of $RANGE_SIZE addresses $(owned_in_all "$host") have an owner: $(on "$host" weave status ipam)"
    done
    echo "   $rounds misfortunes, $(wc -l <"$WORK/attached") addresses given"
    take_down
}
take_down() { # all that there is, so that the next cluster starts from nothing
    local host name
    for host in "${ALL[@]}"; do expect 0 "" on "$host" weave reset --force; done
    for name in "${CONTAINERS[@]}" "${HOSTS[@]}"; do ip netns del "$TAG-$name"; done
    CONTAINERS=()
    HOSTS=()
    RESIDENT=()
    rm -rf "${BOOK:?}"/*
}
owns_the_range() { [ "$(owned_in_all "$1")" = "$RANGE_SIZE" ]; }
more_clean_up() {
    touch "$WORK/stop"
    wait "${ASKING[@]}" 2>/dev/null
    remove_host_files
}

if [ $# -gt 0 ]; then
    soak "$1" "${2:-60}"
else
    step "three hosts"
    soak 3 30
    step "eight hosts"
    soak 8 45
fi
pass
