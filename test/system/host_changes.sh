#!/bin/bash
# What others do to the host behind the peer's back, and how the interfaces it makes are set (contract A3-17, A7-09 to
# A7-12, A7-17; spec/overlay.md section 6).
. "$(dirname "$0")/lib.sh"

make_host host1
for container in web db spare; do make_container "$container"; done

on_link() { ip -n "$TAG-$1" -o link show "$2" 2>/dev/null; }
has_bridge() { on_link host1 weave >/dev/null; }
host_end_of() { # the interface on the host that leads to a container's ethwe
    local index
    index=$(inside "$1" cat /sys/class/net/ethwe/iflink)
    ip -n "$TAG-host1" -o link show | awk -F': ' -v i="$index" '$1 == i { sub(/@.*/, "", $2); print $2 }'
}
log_count() { grep -c -F -- "$2" "$(log_of "$1")" || true; }
in_ps() { has "$1" on host1 weave ps; }
not_in_ps() { ! in_ps "$1"; }

launch host1 --name ::1
expect 0 "" on host1 weave attach 10.6.1.1/24 "$(path_of web)"
expect 0 "" on host1 weave attach 10.6.1.2/24 "$(path_of db)"
expect 0 "" on host1 weave expose 10.6.1.254/24
expect_ping web 10.6.1.2

step "bridge and interfaces are set as 2.8 sets them"
has "link/ether 00:00:00:00:00:01" on_link host1 weave || fail "the bridge's MAC is not the peer's name: $(on_link host1 weave)"
has "mtu 65535" on_link host1 weave || fail "bridge: $(on_link host1 weave)"
has "mtu 65535" on_link web ethwe || fail "ethwe: $(on_link web ethwe)"
inode=$(stat -L -c %i "$(path_of web)")
[ "$(host_end_of web)" = "vethwepl${inode: -7}" ] || fail "the host's end is called $(host_end_of web), the namespace is $inode"
[ "$(on host1 cat "/sys/class/net/$(host_end_of web)/brport/hairpin_mode" 2>/dev/null || echo 1)" = 1 ] || fail "no hairpin"
setting() { # setting NAMESPACE NAME VALUE; a kernel without IPv6 has none to set
    local path="/proc/sys/net/$2" value
    value=$(ip netns exec "$TAG-$1" cat "$path" 2>/dev/null) || [ "${2%%/*}" = ipv6 ] || fail "$1 has no $2"
    [ "${value:-$3}" = "$3" ] || fail "$1: $2 is $value, want $3"
}
for where in "host1 weave" "web ethwe"; do
    read -r name link <<<"$where"
    setting "$name" "ipv6/conf/$link/accept_ra" 0
    setting "$name" "ipv4/neigh/$link/base_reachable_time_ms" 5000
    setting "$name" "ipv4/neigh/$link/delay_first_probe_time" 2
    setting "$name" "ipv4/neigh/$link/ucast_solicit" 1
done
setting host1 "ipv6/conf/$(host_end_of web)/accept_ra" 0

step "an address that moves to another container is reached at once"
expect 0 "" on host1 weave attach 10.6.1.9/24 "$(path_of db)"
expect_ping web 10.6.1.9
expect 0 "" on host1 weave detach 10.6.1.9/24 "$(path_of db)"
expect 0 "" on host1 weave attach 10.6.1.9/24 "$(path_of spare)"
can_ping web 10.6.1.9 || fail "web does not reach 10.6.1.9 in its new place"

step "somebody deletes the bridge"
ps_before=$(on host1 weave ps | sort)
on host1 ip link del weave
eventually 10 has_bridge || fail "the bridge is not made again"
expect_ping web 10.6.1.2
expect_ping db 10.6.1.254
eventually 5 logged host1 "the bridge is gone, making it again" || fail "nothing in the log"
[ "$(on host1 weave ps | sort)" = "$ps_before" ] || fail "weave ps: $(on host1 weave ps)"
expect 0 "" on host1 weave attach 10.6.1.3/24 "$(path_of spare)"
expect_ping spare 10.6.1.1

step "somebody deletes the bridge while no peer runs"
expect 0 "" on host1 weave stop
on host1 ip link del weave
launch host1 --name ::1
has "link/ether 00:00:00:00:00:01" on_link host1 weave || fail "bridge: $(on_link host1 weave)"
expect_ping web 10.6.1.2
expect_ping db 10.6.1.254

step "somebody sets the bridge down: one error line"
before=$(log_count host1 "the bridge is down")
[ "$before" = 0 ] || fail "the log speaks of a bridge that is down: $(grep -F "the bridge is down" "$(log_of host1)")"
start=${EPOCHREALTIME/./}
on host1 ip link set weave down
eventually 5 logged host1 "the bridge is down" || fail "nothing in the log"
echo "   logged after $(((${EPOCHREALTIME/./} - start) / 1000)) ms"
grep -F "the bridge is down" "$(log_of host1)" | grep '^ERRO' >/dev/null || fail "not an error: $(tail -1 "$(log_of host1)")"
on host1 ip link set weave up
expect_ping web 10.6.1.2
[ "$(log_count host1 "the bridge is down")" = 1 ] || fail "more than one line: $(tail -5 "$(log_of host1)")"
on host1 ip link set weave down
on host1 ip link set weave up

step "hairpin mode on the overlay's port"
[ "$(log_count host1 "Hairpin mode enabled")" = 0 ] || fail "a warning too early"
on host1 ip link set vethwe-bridge type bridge_slave hairpin on
eventually 5 logged host1 'Hairpin mode enabled on "vethwe-bridge"' || fail "nothing in the log"
on host1 ip link set vethwe-bridge type bridge_slave hairpin off

step "somebody deletes a container's interface"
on host1 ip link del "$(host_end_of db)"
eventually 10 not_in_ps 10.6.1.2/24 || fail "weave ps still lists it: $(on host1 weave ps)"
expect 0 "" on host1 weave attach 10.6.1.2/24 "$(path_of db)"
expect_ping web 10.6.1.2
inside db ip link del ethwe
eventually 10 not_in_ps 10.6.1.2/24 || fail "weave ps still lists it: $(on host1 weave ps)"
expect 0 "" on host1 weave detach "$(path_of db)" # nothing there: fine
expect 0 "" on host1 weave attach 10.6.1.2/24 "$(path_of db)"
expect_ping web 10.6.1.2

step "somebody deletes a container's interface while no peer runs: the log says that"
expect 0 "" on host1 weave stop
inside spare ip link del ethwe
launch host1 --name ::1
eventually 10 not_in_ps 10.6.1.3/24 || fail "weave ps still lists it: $(on host1 weave ps)"
[ "$(log_count host1 "forgetting an endpoint without interface")" = 1 ] || fail "the log does not say what became of it"
[ "$(log_count host1 "whose container is gone")" = 0 ] || fail "the log says that a container is gone, and it is not"
expect 0 "" on host1 weave attach 10.6.1.3/24 "$(path_of spare)"

step "a container starts again: same path, same address, another namespace"
for _ in 1 2 3; do
    ip netns del "$TAG-db"
    ip netns add "$TAG-db"
    # The kernel takes the old one apart when it has time; until then its address has a holder.
    attached() { on host1 weave attach 10.6.1.2/24 "$(path_of db)" >"$WORK/out" 2>&1; }
    eventually 10 attached || fail "attach: $(cat "$WORK/out")"
    expect_ping web 10.6.1.2
    expect 0 "10.6.1.2/24" on host1 weave ps "$(path_of db)"
done
[ "$(on host1 weave ps | grep -c 10.6.1.2/24)" = 1 ] || fail "weave ps: $(on host1 weave ps)"

step "a process's namespace, given by its pid, that ends"
in_background spare sleep 600 &
sleeper=$!
more_clean_up() { kill "$sleeper" 2>/dev/null; }
is_inside() { [ "$(readlink "/proc/$sleeper/ns/net")" = "net:[$(stat -Lc %i "$(path_of spare)")]" ]; }
eventually 5 is_inside || fail "no process in the container"
expect 0 "" on host1 weave attach 10.6.1.4/24 "$sleeper"
expect_ping web 10.6.1.4
expect 0 "10.6.1.4/24" on host1 weave ps "$sleeper"
kill "$sleeper"
ip netns del "$TAG-spare"
eventually 20 not_in_ps 10.6.1.4/24 || fail "weave ps still lists it: $(on host1 weave ps)"

step "somebody takes the exposed address off the bridge: the next launch puts it back"
on host1 ip addr del 10.6.1.254/24 dev weave
expect 0 "" on host1 weave stop
launch host1 --name ::1
expect_ping web 10.6.1.254
expect 0 "" on host1 weave reset

step "MTU: the flag, the variable, and the flag before the variable"
make_container other
check_mtu() { # check_mtu BYTES
    expect 0 "" on host1 weave attach 10.6.3.1/24 "$(path_of other)"
    has "mtu $1" on_link other ethwe || fail "ethwe, want $1: $(on_link other ethwe)"
    has "mtu $1" on_link host1 weave || fail "bridge, want $1: $(on_link host1 weave)"
    expect 0 "" on host1 weave reset
}
launch host1 --name ::1 --mtu 1400
check_mtu 1400
W_ENV="WEAVE_MTU=1300"
launch host1 --name ::1
check_mtu 1300
launch host1 --name ::1 --mtu 1350
check_mtu 1350
W_ENV="WEAVE_MTU=lots"
expect 1 "lots" on host1 weave launch --name ::1
W_ENV=
expect 1 "67" on host1 weave launch --name ::1 --mtu 67
pass
