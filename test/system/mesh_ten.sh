#!/bin/bash
# Ten peers, told of one, become a full mesh; one is killed; all agree again. What that costs is printed.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

ALL=()
for n in {1..10}; do ALL+=("host$n"); done
make_network
for host in "${ALL[@]}"; do make_mesh_host "$host"; done

cost() { # cost WHEN: of the peers that run, since each started
    local host pid count=0 jiffies=0 kilobytes=0
    for host in "${ALL[@]}"; do
        pid=$(weaver_of "$host") || continue
        [ -n "$pid" ] || continue
        count=$((count + 1))
        jiffies=$((jiffies + $(awk '{ print $14 + $15 }' "/proc/$pid/stat")))
        kilobytes=$((kilobytes + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
    done
    echo "   $1: $((jiffies * 1000 / $(getconf CLK_TCK) / count)) ms CPU and $((kilobytes / count)) KiB a peer"
}

step "ten peers become a full mesh"
launch_peer host1
cost "one alone"
for host in "${ALL[@]:1}"; do launch_peer "$host" "$(address_of host1)"; done
start=${EPOCHREALTIME/./}
expect_mesh 60 "${ALL[@]}"
echo "   agreed $(((${EPOCHREALTIME/./} - start) / 1000)) ms after the last launch"
cost "agreed"

step "the one that all were told of is killed, and comes back"
crash host1
start=${EPOCHREALTIME/./}
expect_mesh 60 "${ALL[@]}"
echo "   agreed $(((${EPOCHREALTIME/./} - start) / 1000)) ms after it was back"
cost "agreed again"

step "one that is stopped is forgotten by all"
expect 0 "" on host10 weave stop
expect_mesh 60 "${ALL[@]::9}"
pass
