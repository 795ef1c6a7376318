#!/bin/bash
# allocation_bench.sh [ROUNDS [SECONDS]]: durable allocations over HTTP with 1, 16 and 64 callers while HELD addresses are in
# use, the time from launch to the first address, and what an address costs that must first be borrowed. Needs root, curl,
# WEAVE_BIN (weave, weaver) and ALLOCATION_LOAD. HELD: "0 10000 60000". REFERENCE: a weaver of Weave Net 2.8, which is then
# measured in the same rounds; with 60,000 held that takes it ten minutes to get there.
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/mesh_lib.sh
. "$(dirname "$0")/../test/system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=pairs_lib.sh
. "$(dirname "$0")/pairs_lib.sh"
ALLOCATION_LOAD=${ALLOCATION_LOAD:?set ALLOCATION_LOAD to the program allocation_load}
rounds=${1:-5}
seconds=${2:-1}
held=${HELD:-0 10000 60000}
callers="1 16 64"
subnets=200
kinds=(ours)
[ -z "${REFERENCE:-}" ] || kinds+=(reference)

last_host=0
new_host() { # sets $host
    last_host=$((last_host + 1))
    host=host$last_host
    make_mesh_host "$host"
}
run_peer() { # run_peer KIND HOST ARGUMENTS...; sets PEERS[KIND]
    local kind=$1 on=$2
    shift 2
    if [ "$kind" = ours ]; then
        launch_peer "$on" --no-dns --no-fastdp --ipalloc-range 10.48.0.0/12 "$@"
        PEERS[$kind]=$(weaver_of "$on")
    else
        reference_peer "$on" --no-fastdp --mtu 0 "$@"
        PEERS[$kind]=$reference_pid
    fi
}
load() { # load HOST ARGUMENTS...
    on "$1" "$ALLOCATION_LOAD" "${@:2}"
}
cpu_of() { awk -v hz="$(getconf CLK_TCK)" '{ print ($14 + $15) / hz }' "/proc/$1/stat"; } # cpu_of PID: seconds

measure_launch() { # measure_launch KIND
    local host first
    new_host
    load "$host" first >"$WORK/first" &
    first=$!
    run_peer "$1" "$host"
    wait "$first" || fail "no first address of $1"
    sample "$1" first "$(cat "$WORK/first")"
    if [ "$1" = ours ]; then on "$host" weave stop >/dev/null; else kill -9 "${PEERS[$1]}"; fi
}
measure_borrowing() { # measure_borrowing KIND: all is the first peer's
    local kind=$1 host owner times
    new_host
    owner=$host
    run_peer "$kind" "$owner" --ipalloc-init "seed=$(name_of "$owner")"
    new_host
    run_peer "$kind" "$host" --ipalloc-init "seed=$(name_of "$owner")" "$(address_of "$owner")"
    load "$host" borrow 1 >/dev/null # they have met
    read -r -a times < <(load "$host" borrow $subnets)
    sample "$kind" borrow "${times[0]}" borrow99 "${times[1]}"
}
measure_giving() { # measure_giving KIND CALLERS COUNT
    local kind=$1 cpu figures
    cpu=$(cpu_of "${PEERS[$kind]}")
    read -r -a figures < <(load "${HOST[$kind]}" run "$2" "$seconds")
    sample "$kind" "rate-$2-$3" "${figures[0]}" "p50-$2-$3" "${figures[1]}" "p99-$2-$3" "${figures[2]}" "cpu-$2-$3" \
        "$(awk -v a="$(cpu_of "${PEERS[$kind]}")" -v b="$cpu" -v n="${figures[0]}" -v s="$seconds" 'BEGIN { printf "%.3f", (a - b) * 1e3 / (n * s) }')"
}
row() { # row TITLE WHAT UNIT: of each kind, and the ratio
    local ours theirs
    ours=$(median ours "$2")
    theirs=$(median reference "$2")
    printf '%-52s %10s %10s %-4s %6s\n' "$1" "$ours" "$theirs" "$3" "$(ratio "$ours" "$theirs")"
}

make_network
printf '%-52s %10s %10s %11s\n' "medians of $rounds rounds" ours reference ratio
for ((round = 0; round < rounds; ++round)); do
    for kind in "${kinds[@]}"; do measure_launch "$kind"; done
done
row "from launch to the first address" first ms
for kind in "${kinds[@]}"; do measure_borrowing "$kind"; done
row "an address that is borrowed first: p50" borrow ms
row "an address that is borrowed first: p99" borrow99 ms
declare -A HOST
for kind in "${kinds[@]}"; do
    new_host
    HOST[$kind]=$host
    run_peer "$kind" "$host"
done
for count in $held; do
    for kind in "${kinds[@]}"; do load "${HOST[$kind]}" hold "$count"; done
    for ((round = 0; round < rounds; ++round)); do
        for n in $callers; do
            for kind in "${kinds[@]}"; do measure_giving "$kind" "$n" "$count"; done
        done
    done
    for n in $callers; do
        what="$n callers, $count held"
        row "$what: allocations a second" "rate-$n-$count" ""
        row "$what: p50" "p50-$n-$count" ms
        row "$what: p99" "p99-$n-$count" ms
        row "$what: CPU with the release" "cpu-$n-$count" ms
    done
done
