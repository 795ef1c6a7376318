#!/bin/bash
# mesh_processes.sh [PEERS [REST_SECONDS]]: that many real peers on one Ethernet, all told of the first, until each knows all
# connections of all; then at rest. With REFERENCE=FILE, a `weaver` of Weave Net 2.8, it goes through the same afterwards and
# ratios are printed. Hosts are network namespaces. Needs root, curl, WEAVE_BIN.
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/mesh_lib.sh
. "$(dirname "$0")/../test/system/mesh_lib.sh"
count=${1:-60}
rest=${2:-60}
limit=${LIMIT:-600} # seconds until agreement is given up
PIDS=()
STARTED=()
more_clean_up() { [ ${#PIDS[@]} = 0 ] || kill -9 "${PIDS[@]}" 2>/dev/null; }

# run_peer PROGRAM N: with a /run and store of its own, in the mount namespace that `ip netns exec` makes. It is the first
# process of its namespace, whose network 2.8 takes for the host's, and stands in a folder without 2.8's sign of a restart.
run_peer() {
    # shellcheck disable=SC2016
    CHECKPOINT_DISABLE=1 ip netns exec "$TAG-host$2" sh -c 'mount -t tmpfs none /run && mkdir /run/db &&
        exec unshare -m -p -f --kill-child --mount-proc --wd /run "$@" >/run/log 2>&1' sh \
        "$1" --name "::$(printf %x "$2")" --nickname "host$2" --no-fastdp --no-dns --docker-api= --conn-limit=0 \
        --http-addr=127.0.0.1:6784 --db-prefix=/run/db/ --ipalloc-range=10.32.0.0/12 --ipalloc-init="consensus=$count" 10.99.0.1 &
    STARTED+=($!)
}
mac_of() { printf '02:00:00:00:00:%02x\n' "$1"; } # mac_of N
# Hosts know each other's MACs: the kernel's table of neighbours is one for all namespaces, and too small for sixty.
know_neighbours() {
    local n other
    for ((n = 1; n <= count; n++)); do
        ip -n "$TAG-host$n" link set eth0 address "$(mac_of "$n")"
        for ((other = 1; other <= count; other++)); do
            [ "$n" = "$other" ] || echo "neigh replace 10.99.0.$other lladdr $(mac_of "$other") dev eth0 nud permanent"
        done >"$WORK/neighbours"
        ip -n "$TAG-host$n" -batch "$WORK/neighbours"
    done
}
find_peers() { mapfile -t PIDS < <(for pid in "${STARTED[@]}"; do pgrep -P "$pid"; done); }
all_run() { find_peers && [ ${#PIDS[@]} = "$count" ]; }
agreed() { # agreed N: it knows of all connections of all
    has "$count (with $((count * (count - 1))) established" \
        ip netns exec "$TAG-host$1" curl -s -m 5 http://127.0.0.1:6784/status
}
cost() { # cost: CPU milliseconds, bytes sent and resident kilobytes of a peer on average, each since its start
    local n pid cpu=0 sent=0 memory=0
    for ((n = 1; n <= count; n++)); do
        pid=${PIDS[n - 1]}
        cpu=$((cpu + $(awk '{ print $14 + $15 }' "/proc/$pid/stat") * 1000 / $(getconf CLK_TCK)))
        memory=$((memory + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
        sent=$((sent + $(ip netns exec "$TAG-host$n" cat /sys/class/net/eth0/statistics/tx_bytes)))
    done
    echo "$((cpu / count)) $((sent / count)) $((memory / count))"
}
measure() { # measure PROGRAM: sets FIGURES, whose names are those of WHAT
    local n start cpu sent memory later
    make_network
    for ((n = 1; n <= count; n++)); do make_mesh_host "host$n"; done
    know_neighbours
    STARTED=()
    start=${EPOCHREALTIME/./}
    for ((n = 1; n <= count; n++)); do run_peer "$1" "$n"; done
    eventually 30 all_run || fail "of $count peers ${#PIDS[@]} run"
    for ((n = 1; n <= count; n++)); do
        eventually "$limit" agreed "$n" || fail "$1: peer $n of $count does not agree after $limit s"
    done
    local took=$(((${EPOCHREALTIME/./} - start) / 1000))
    read -r cpu sent memory < <(cost)
    sleep "$rest"
    read -r -a later < <(cost)
    FIGURES=("$took" "$cpu" "$sent" $(((later[0] - cpu) * 60 / rest)) $(((later[1] - sent) * 60 / rest)) "${later[2]}")
    kill -9 "${PIDS[@]}"
    wait "${STARTED[@]}" 2>/dev/null || true
    for ((n = 1; n <= count; n++)); do ip netns del "$TAG-host$n"; done
    ip netns del "$TAG-net"
    HOSTS=()
    CONTAINERS=()
    PIDS=()
}

WHAT=("ms until all agree" "ms CPU a peer until then" "bytes sent a peer until then" "ms CPU a peer and minute at rest"
    "bytes sent a peer and minute at rest" "KiB resident a peer")
step "$count peers of ours"
measure "$BIN/weaver"
ours=("${FIGURES[@]}")
theirs=()
if [ -n "${REFERENCE:-}" ]; then
    step "$count peers of $REFERENCE"
    measure "$REFERENCE"
    theirs=("${FIGURES[@]}")
fi
for i in "${!WHAT[@]}"; do
    if [ ${#theirs[@]} = 0 ]; then
        printf '%10s %s\n' "${ours[i]}" "${WHAT[i]}"
    else
        awk -v a="${ours[i]}" -v b="${theirs[i]}" -v w="${WHAT[i]}" 'BEGIN { printf "%10d %10d %6.3f %s\n", a, b, a / (b ? b : 1), w }'
    fi
done
