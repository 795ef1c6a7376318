#!/bin/bash
# How a peer is called (contract A3-08, A3-09, A7-15; spec/overlay.md section 9): the flag, the bridge, the store, the
# machine, in this order.
. "$(dirname "$0")/lib.sh"

make_host host1

# The documented derivation, from files as they are: derived_name FILE...
derived_name() {
    local hash first
    hash=$({ printf '9oBJ0Jmip-' && cat "$@"; } | sha256sum)
    first=$(printf %02x "$(((0x${hash:0:2} & ~1) | 2))")
    echo "$first:${hash:2:2}:${hash:4:2}:${hash:6:2}:${hash:8:2}:${hash:10:2}"
}
uuid=()
for file in /sys/hypervisor/uuid /sys/class/dmi/id/product_uuid; do
    if [ -e "$file" ]; then uuid=("$file"); fi
done

# The name in `weave status`, without the nickname.
status_name() { on host1 weave status | sed -n 's/^ *Name: \(.*\)(.*)$/\1/p'; }
status_nickname() { on host1 weave status | sed -n 's/^ *Name: .*(\(.*\))$/\1/p'; }
bridge_mac() { ip -n "$TAG-host1" -o link show weave | sed 's/.*link\/ether \([0-9a-f:]*\).*/\1/'; }
expect_name() { # expect_name NAME WHY
    [ "$(status_name)" = "$1" ] || fail "the peer is called $(status_name), want $1: $2"
    [ "$(bridge_mac)" = "$1" ] || fail "the bridge has $(bridge_mac), want $1: $2"
    [ "$(on host1 weaver --print-peer-name)" = "$1" ] || fail "print-peer-name: $(on host1 weaver --print-peer-name)"
}
relaunch() {
    expect 0 "" on host1 weave stop
    launch host1 "$@"
}
make_machine() { # make_machine DIRECTORY FILE: with a random machine-id, FILE in it
    mkdir -p "$WORK/$1/$(dirname "$2")"
    od -An -tx1 -N16 /dev/urandom | tr -d ' ' >"$WORK/$1/$2"
}

step "the machine's name is the documented one"
make_machine one etc/machine-id
make_machine two var/lib/dbus/machine-id
make_machine both etc/machine-id
make_machine both var/lib/dbus/machine-id
mkdir "$WORK/none"
print_name() { on host1 weaver --print-peer-name --host-root "$WORK/$1"; }
one=$(derived_name "$WORK/one/etc/machine-id" "${uuid[@]}")
[ "$(print_name one)" = "$one" ] || fail "$(print_name one), want $one"
two=$(derived_name "$WORK/two/var/lib/dbus/machine-id" "${uuid[@]}")
[ "$(print_name two)" = "$two" ] || fail "$(print_name two), want $two"
both=$(derived_name "$WORK/both/etc/machine-id" "${uuid[@]}")
[ "$(print_name both)" = "$both" ] || fail "$(print_name both), want $both"
[ "$(on host1 weaver print-peer-name --host-root="$WORK/one")" = "$one" ] || fail "the word print-peer-name"
if [ "${#uuid[@]}" = 0 ]; then
    none=$(print_name none) # a random one, of the right kind
    [[ $none =~ ^[0-9a-f][26ae](:[0-9a-f]{2}){5}$ ]] || fail "random name $none"
    [ "$(print_name none)" != "$none" ] || fail "the random name $none twice"
fi

step "a peer without --name takes it, and keeps it"
launch host1 --host-root "$WORK/one"
expect_name "$one" "derived"
[ "$(status_nickname)" = "$(hostname)" ] || fail "nickname $(status_nickname), want $(hostname)"
relaunch --host-root "$WORK/one" --nickname "tom's host"
expect_name "$one" "the same machine"
[ "$(status_nickname)" = "tom's host" ] || fail "nickname $(status_nickname)"
expect 0 "$one(tom's host)" on host1 weave status peers

step "the bridge's address before the machine's"
relaunch --host-root "$WORK/two"
expect_name "$one" "the bridge has it"

step "the stored name before the machine's"
expect 0 "" on host1 weave stop
on host1 ip link del weave
launch host1 --host-root "$WORK/two"
expect_name "$one" "stored"
expect 0 "" on host1 weave reset
launch host1 --host-root "$WORK/two"
expect_name "$two" "a new machine after reset"
expect 0 "" on host1 weave reset

step "a bridge that somebody else made"
on host1 ip link add weave address 02:11:22:33:44:55 type bridge
launch host1 --host-root "$WORK/one"
expect_name 02:11:22:33:44:55 "the bridge's"
expect 0 "" on host1 weave reset

step "--name before all, in any of its forms"
for form in ::1=00:00:00:00:00:01 ::1:2=00:00:00:00:01:02 02:ab:cd:ef:00:99=02:ab:cd:ef:00:99 7A:00:00:00:00:0F=7a:00:00:00:00:0f; do
    launch host1 --name "${form%=*}" --host-root "$WORK/one"
    expect_name "${form#*=}" "--name ${form%=*}"
    [ "$(on host1 weaver --print-peer-name --name "${form%=*}")" = "${form#*=}" ] || fail "print-peer-name --name ${form%=*}"
    expect 0 "" on host1 weave reset
done
launch host1 --name ::7 --host-root "$WORK/one"
relaunch --host-root "$WORK/one"
expect_name 00:00:00:00:00:07 "stored, and the bridge's"
expect 0 "" on host1 weave reset

step "what is no name"
for name in 1 zz ::g 00:00:00:00:00:00:01 00:00:00:00:00: host; do
    expect 1 "$name" on host1 weave launch --name "$name"
    [ -z "$(supervisor_of host1)" ] || fail "a supervisor stays after --name $name"
    lacks weave links host1 || fail "a bridge stays after --name $name"
done
pass
