#!/bin/bash
# What was acknowledged survives kill -9 (contract A2-17, A3-26, design's promises 1 and 2): containers come and go in a
# loop while the peer is killed at random moments and its supervisor starts it again. The same seed does the same
# operations: WEAVE_TEST_SEED=n crash.sh.
. "$(dirname "$0")/lib.sh"

SEED=${WEAVE_TEST_SEED:-$((RANDOM * 32768 + RANDOM))}
ROUNDS=${WEAVE_TEST_ROUNDS:-8}
echo "to see this again: WEAVE_TEST_SEED=$SEED $0"
RANDOM=$SEED

# Each slot is an address of a container, or of the bridge; its file says in, out, or unknown: asked for, not answered.
SLOTS=()
for container in c1 c2 c3; do
    for network in 1 2; do SLOTS+=("$container 10.40.$network.${container#c}/24"); done
done
SLOTS+=("expose 10.40.1.254/24" "expose 10.40.3.254/24")
slot_file() { echo "$WORK/slots/$1-${2%/*}"; }
mkdir "$WORK/slots"

change() { # change HOLDER ADDRESS NOW: the opposite of NOW
    case $1-$3 in
    expose-out) on host1 weave expose "$2" ;;
    expose-in) on host1 weave hide "$2" ;;
    *-out) on host1 weave attach "$2" "$(path_of "$1")" ;;
    *-in) on host1 weave detach "$2" "$(path_of "$1")" ;;
    esac
}

# In the background, until an operation fails because the peer is dead.
work() { # work ROUND
    local slot now file output
    RANDOM=$((SEED + $1))
    until [ -e "$WORK/killed" ]; do
        read -r -a slot <<<"${SLOTS[RANDOM % ${#SLOTS[@]}]}"
        file=$(slot_file "${slot[@]}")
        now=$(<"$file")
        echo unknown >"$file"
        if output=$(change "${slot[@]}" "$now" 2>&1); then
            if [ "$now" = in ]; then echo out >"$file"; else echo in >"$file"; fi
        elif [ -e "$WORK/killed" ]; then
            echo "${slot[*]} was $now: $output" >>"$WORK/refused"
        else
            echo "${slot[*]} was $now: $output" >>"$WORK/bad"
            return 0
        fi
    done
}

# What there is: lines "HOLDER ADDRESS", from the interfaces and from `weave ps`.
on_interfaces() {
    local container
    for container in c1 c2 c3; do
        inside "$container" ip -o -4 addr show dev ethwe 2>/dev/null | awk -v c="$container" '{ print c, $4 }'
    done
    on host1 ip -o -4 addr show dev weave | awk '{ print "expose", $4 }'
}
in_ps() {
    local container
    for container in c1 c2 c3; do
        on host1 weave ps "$(path_of "$container")" | awk -v c="$container" '{ for (i = 3; i <= NF; i++) print c, $i }'
    done
    on host1 weave ps weave:expose | awk '{ for (i = 2; i <= NF; i++) if ($i ~ /\//) print "expose", $i }'
}
agree() {
    seen=$(on_interfaces | sort)
    told=$(in_ps | sort)
    [ "$seen" = "$told" ]
}

check() { # check ROUND
    local slot file
    for slot in "${SLOTS[@]}"; do # at once: what was acknowledged is there when the peer answers
        # shellcheck disable=SC2086
        file=$(slot_file $slot)
        case $(<"$file") in
        in) has "$slot" on_interfaces || fail "round $1: $slot was acknowledged and is on no interface" ;;
        out) lacks "$slot" on_interfaces || fail "round $1: $slot was taken away and is on an interface" ;;
        esac
    done
    eventually 15 agree || fail "round $1: weave ps and the interfaces differ: $(diff <(echo "$told") <(echo "$seen"))"
    for slot in "${SLOTS[@]}"; do
        # shellcheck disable=SC2086
        file=$(slot_file $slot)
        case $(<"$file") in
        in) [[ $'\n'$told$'\n' == *$'\n'$slot$'\n'* ]] || fail "round $1: $slot is not in weave ps: $told" ;;
        out) [[ $'\n'$told$'\n' != *$'\n'$slot$'\n'* ]] || fail "round $1: $slot is in weave ps: $told" ;;
        *) if [[ $'\n'$told$'\n' == *$'\n'$slot$'\n'* ]]; then echo in >"$file"; else echo out >"$file"; fi ;;
        esac
    done
}

another_weaver() { # another_weaver PID
    local now
    now=$(weaver_of host1) && [ -n "$now" ] && [ "$now" != "$1" ] && answers host1
}

make_host host1
for container in c1 c2 c3 a b; do make_container "$container"; done
launch host1 --name ::1
for slot in "${SLOTS[@]}"; do
    # shellcheck disable=SC2086
    echo out >"$(slot_file $slot)"
done
expect 0 "" on host1 weave attach 10.40.9.1/24 "$(path_of a)"
expect 0 "" on host1 weave attach 10.40.9.2/24 "$(path_of b)"
expect_ping a 10.40.9.2
in_background a ping -i 0.1 10.40.9.2 >"$WORK/pings" 2>&1 &
pinger=$!
more_clean_up() { kill "$pinger" 2>/dev/null; }

for ((round = 1; round <= ROUNDS; ++round)); do
    weaver=$(weaver_of host1)
    rm -f "$WORK/killed"
    work "$round" &
    worker=$!
    sleep "0.$(printf %03d $((100 + RANDOM % 700)))"
    touch "$WORK/killed"
    kill -KILL "$weaver"
    wait "$worker"
    [ ! -e "$WORK/bad" ] || fail "round $round: before the kill: $(cat "$WORK/bad")"
    eventually 60 another_weaver "$weaver" || fail "round $round: the peer was not started again"
    check "$round"
    echo "   round $round: $(tr '\n' ' ' <<<"$told")"
    # A supervisor waits longer after each crash, a new one does not.
    if [ $((round % 4)) = 0 ]; then
        expect 0 "" on host1 weave stop
        launch host1 --name ::1
    fi
done

kill -INT "$pinger"
wait "$pinger" || true
read -r sent received < <(awk '/packets transmitted/ { print $1, $4 }' "$WORK/pings")
echo "   $sent pings, $received answers"
[ "$sent" -gt 20 ] || fail "only $sent pings: $(tail -3 "$WORK/pings")"
[ "$((sent - received))" -le 1 ] || fail "containers lost $((sent - received)) of $sent pings" # the last is on its way

step "stop and launch keep it so"
expect 0 "" on host1 weave stop
launch host1 --name ::1
check "after the last"
expect 0 "" on host1 weave reset
[ -z "$(on_interfaces 2>/dev/null)" ] || fail "addresses after reset: $(on_interfaces)"
pass
