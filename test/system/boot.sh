#!/bin/bash
# Hosts that systemd boots, with the unit of the package: a uniform dynamic cluster, its peers killed, hosts that reboot and
# that lose power (contract A18-01, A19-06). A host is a copy-on-write view of this machine's files, in namespaces and a control
# group of its own.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"
[ -x /lib/systemd/systemd ] || skip "systemd is not installed"
for program in nsenter unshare chroot; do command -v $program >/dev/null || skip "needs $program"; done
unit=$(dirname "$0")/../../deploy/systemd/weave.service

declare -A INIT # pid of each host's systemd
mkdir "$WORK/cgroup" "$WORK/disks"
mount -t cgroup2 cgroup2 "$WORK/cgroup" || skip "no cgroup2 here"
mount -t tmpfs disks "$WORK/disks"
cgroup_of() { echo "$WORK/cgroup/$TAG-$1"; }
cgroup_is_gone() { find "$(cgroup_of "$1")" -depth -type d -exec rmdir {} + 2>/dev/null; }
remove_cgroup() { eventually 20 cgroup_is_gone "$1" || true; } # its last processes may still be ending
more_clean_up() {
    local host
    for host in "${!INIT[@]}"; do kill -KILL "${INIT[$host]}" 2>/dev/null; done
    for host in "${!INIT[@]}"; do
        eventually 10 dead "${INIT[$host]}"
        remove_cgroup "$host"
    done
    umount -l "$WORK/disks"/*/root "$WORK/disks" "$WORK/cgroup" 2>/dev/null
}

# As the first process of the host, before systemd is.
cat >"$WORK/firmware" <<'FIRMWARE'
set -e
mount --make-rprivate /
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 run run
mount -t tmpfs tmp tmp
hostname "$2"
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd --unit=multi-user.target
FIRMWARE

root_of() { echo "$WORK/disks/$1/root"; }
install() { # install HOST: what the package would bring, and what its operator writes; the machine's own units are not there
    local root number=${1#host}
    root=$(root_of "$1")
    mkdir -p "$WORK/disks/$1"/{upper,work,root}
    mount -t overlay -o "lowerdir=/,upperdir=$WORK/disks/$1/upper,workdir=$WORK/disks/$1/work" overlay "$root"
    rm -rf "$root"/etc/systemd/system "$root"/var/lib/weave "$root"/var/log/{weave,journal} "$root/etc/hosts"
    mkdir -p "$root"/etc/{sysconfig,systemd/system/{multi-user.target.wants,weave.service.d}}
    cp "$BIN/weave" "$root/usr/bin/weave"
    cp "$BIN/weaver" "$BIN/weave-plugin" "$root/usr/sbin"
    cp "$unit" "$root/etc/systemd/system/weave.service"
    ln -s ../weave.service "$root/etc/systemd/system/multi-user.target.wants/weave.service"
    printf '%s\n' 'SEED="::1,::2,::3"' 'PEERS="host1 host2 host3"' >"$root/etc/sysconfig/weave"
    # shellcheck disable=SC2016 # systemd's variables
    printf '[Service]\nExecStart=\nExecStart=/usr/bin/weave launch --no-restart --name ::%s --ipalloc-init seed=${SEED} $PEERS\n' "$number" \
        >"$root/etc/systemd/system/weave.service.d/number.conf"
    printf '%s\n' '127.0.0.1 localhost' "$(address_of host1) host1" "$(address_of host2) host2" "$(address_of host3) host3" >"$root/etc/hosts"
    printf '%032d\n' "$number" >"$root/etc/machine-id"
}

boot() { # boot HOST: with its disk, and nothing else of its former life
    local parent
    make_mesh_host "$1"
    mkdir -p "$(cgroup_of "$1")"
    # shellcheck disable=SC2016
    start "$1" bash -c 'echo $$ >"$1/cgroup.procs" && exec unshare -m -p -f -C -u --kill-child bash "$2" "$3" "$4"' boot \
        "$(cgroup_of "$1")" "$WORK/firmware" "$(root_of "$1")" "$1" </dev/null >"$WORK/console.$1" 2>&1
    parent=$!
    disown
    eventually 20 pgrep -P "$parent" -x systemd >/dev/null || fail "$1 does not boot: $(cat "$WORK/console.$1")"
    INIT[$1]=$(pgrep -P "$parent" -x systemd)
}
at() { # at HOST COMMAND...: in a shell of that host
    local host=$1
    shift
    nsenter --target "${INIT[$host]}" --mount --pid --net --uts --cgroup --root --wd -- "$@"
}
is_up() { [ "$(at "$1" systemctl is-active weave 2>/dev/null)" = active ]; }
expect_up() { # expect_up HOSTS...
    local host
    for host in "$@"; do
        eventually 60 is_up "$host" || fail "$host: $(at "$host" systemctl status weave --no-pager -l 2>&1 | tail -20)"
    done
}
power_off() { # power_off HOST COMMAND...: after which nothing of it runs
    local host=$1
    shift
    "$@"
    eventually 60 dead "${INIT[$host]}" || fail "$host does not go down"
    remove_cgroup "$host"
    ip netns del "$TAG-$host"
    eventually 10 lacks "$host" ip -n "$TAG-net" link show type veth || ip -n "$TAG-net" link del "$host"
}
peers_at() { at "$1" weave status peers 2>/dev/null | grep -c '^[0-9a-f]'; }
all_meet() {
    local host
    for host in host1 host2 host3; do [ "$(peers_at "$host")" = 3 ] || return 1; done
}
container() { # container HOST NAME: attached; prints its address
    at "$1" ip netns add "$2" || fail "no namespace on $1"
    at "$1" weave attach "/run/netns/$2" || fail "nothing is attached on $1"
}
reaches() { at "$1" ip netns exec "$2" ping -c 1 -W 2 "${3%/*}" >/dev/null 2>&1; }
expect_reach() { eventually 20 reaches "$@" || fail "$2 on $1 does not reach $3"; }
owned_by() { at "$1" weave status ipam | awk -v host="($1)" 'index($1, host) {print $2}'; }
main_pid() { at "$1" systemctl show -p MainPID --value weave; }

step "three hosts boot, none knows of the others yet; then they are one network"
make_network
for host in host1 host2 host3; do install $host; done
for host in host1 host2 host3; do boot $host; done
expect_up host1 host2 host3
eventually 60 all_meet || fail "host1 knows $(peers_at host1) peers"
web=$(container host1 web)
near=$(container host1 near)
db=$(container host3 db)
expect_reach host1 web "$near"
expect_reach host1 web "$db"
expect_reach host3 db "$web"

plugin_answers() { at "$1" curl -sf -m 5 --unix-socket /run/docker/plugins/weavemesh.sock -X POST http://plugin/Plugin.Activate; }
has NetworkDriver plugin_answers host1 || fail "no Docker plugin on host1: $(at host1 systemctl status weave --no-pager -l 2>&1 | tail)"

step "a peer is killed: systemd starts it again, its containers never notice"
before=$(main_pid host1)
at host1 kill -KILL "$before"
reaches host1 web "$near" || fail "containers of the host do not talk without the peer"
restarted() { is_up host1 && [ "$(main_pid host1)" != "$before" ]; }
eventually 60 restarted || fail "not started again: $(at host1 systemctl status weave --no-pager 2>&1)"
expect_reach host1 web "$db"
[ "$(at host1 weave ps | grep -c "${web%/*}/")" = 1 ] || fail "web is not in weave ps: $(at host1 weave ps)"

step "systemctl stop: containers of the host keep talking; start: all is as it was"
at host1 systemctl stop weave
reaches host1 web "$near" || fail "containers do not talk without the peer"
at host1 systemctl start weave
expect_up host1
expect_reach host1 near "$db"

step "a host reboots in order, another loses its power: both are back with what they owned"
owned1=$(owned_by host1)
owned3=$(owned_by host3)
restart() { at host1 systemctl reboot 2>/dev/null || true; } # which ends before it has answered
power_off host1 restart
power_off host3 kill -KILL "${INIT[host3]}"
expect_up host2
boot host1
boot host3
expect_up host1 host3
eventually 60 all_meet || fail "host2 knows $(peers_at host2) peers"
[ "$(owned_by host1)" = "$owned1" ] || fail "host1 owns $(owned_by host1), before $owned1"
[ "$(owned_by host3)" = "$owned3" ] || fail "host3 owns $(owned_by host3), before $owned3"
web=$(container host1 web)
db=$(container host3 db)
expect_reach host1 web "$db"

step "a peer that cannot start says why, and systemd gives up soon"
at host2 systemctl stop weave
at host2 sed -i 's/^PEERS=.*/PEERS="--no-such-flag"/' /etc/sysconfig/weave
! at host2 systemctl start weave 2>/dev/null || fail "starts with --no-such-flag"
said() { at host2 journalctl -u weave --no-pager -o cat; }
has "--no-such-flag" said || fail "the journal says: $(said)"
given_up() { [ "$(at host2 systemctl is-active weave)" = failed ]; }
eventually 60 given_up || fail "systemd goes on trying: $(at host2 systemctl status weave --no-pager 2>&1)"
at host2 sed -i 's/^PEERS=.*/PEERS="host1 host2 host3"/' /etc/sysconfig/weave
at host2 systemctl reset-failed weave
at host2 systemctl start weave
expect_up host2
eventually 60 all_meet || fail "host2 knows $(peers_at host2) peers"
pass
