#!/bin/bash
# cni_bench.sh [RUNS]: how long the CNI plugin takes for ADD and DEL, and for 20 ADDs at once, beside what the kernel alone
# takes for a veth pair and, with REFERENCE_PLUGIN=FILE, a weave-net of Weave Net 2.8 on the same peer (by its HTTP paths).
# All take turns in one run, so that the machine's load hits each. Needs root and WEAVE_BIN.
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/cni_lib.sh
. "$(dirname "$0")/../test/system/cni_lib.sh"
# shellcheck source-path=SCRIPTDIR source=latency_lib.sh
. "$(dirname "$0")/latency_lib.sh"
runs=${1:-50}
burst=20

make_host host1
make_container one
for ((i = 1; i <= burst; i++)); do make_container "many$i"; done
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/16
config 0.3.0 >"$WORK/config"
mkdir "$WORK/ours" "$WORK/reference"
ln -s "$BIN/weave-plugin" "$WORK/ours/weave-net"
contenders=(ours)
if [ -n "${REFERENCE_PLUGIN:-}" ]; then
    ln -s "$(realpath "$REFERENCE_PLUGIN")" "$WORK/reference/weave-net"
    contenders+=(reference)
fi

# On the host, in a shell of its own: starting one for each call would be measured too.
cat >"$WORK/measure" <<'MEASURE'
export CNI_IFNAME=eth0 CNI_PATH=/nowhere
timed() { # timed LABEL COMMAND...
    local label=$1 start=${EPOCHREALTIME/./}
    shift
    "$@" >"$WORK/output" 2>&1 || { echo "failed: $*: $(cat "$WORK/output")" >&2; exit 1; }
    echo "$label $((${EPOCHREALTIME/./} - start))"
}
call() { CNI_COMMAND=$1 CNI_CONTAINERID=$2 CNI_NETNS=$3 "$WORK/$4/weave-net" <"$WORK/config"; }
burst() { # burst COMMAND CONTENDER
    local i pids=()
    for ((i = 1; i <= BURST; i++)); do
        # 2.8 names interfaces by the first seven characters, and fails when another has them.
        call "$1" "burst$i-of-$2" "/run/netns/$TAG-many$i" "$2" >"$WORK/burst.$i" &
        pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || return 1; done
}
pair() { ip link add "$TAG-a" type veth peer name "$TAG-b"; }
unpair() { ip link del "$TAG-a"; }
for ((run = 0; run < RUNS; run++)); do
    timed kernel/ADD pair
    timed kernel/DEL unpair
    for who in "$@"; do
        timed "$who/ADD" call ADD "$who-single" "/run/netns/$TAG-one" "$who"
        timed "$who/DEL" call DEL "$who-single" "/run/netns/$TAG-one" "$who"
    done
done
for ((run = 0; run < 5; run++)); do
    for who in "$@"; do
        timed "$who/$BURST-ADDs" burst ADD "$who"
        timed "$who/$BURST-DELs" burst DEL "$who"
    done
done
MEASURE
export RUNS=$runs BURST=$burst TAG WORK
on host1 bash "$WORK/measure" "${contenders[@]}" >"$WORK/times" || fail "see above"

for label in kernel/ADD kernel/DEL ours/{ADD,DEL,$burst-ADDs,$burst-DELs} reference/{ADD,DEL,$burst-ADDs,$burst-DELs}; do
    grep -q "^$label " "$WORK/times" || continue
    other=
    [[ $label != ours/* ]] || other=reference/${label#*/}
    report "$label" "$other"
done
echo "Weave Net 2.8 on another machine (busy): ADD p50 62 ms, best 44; DEL 28 ms; 49 ADDs, 10 at a time, 1.5 s"
pass
