#!/bin/bash
# What operators should not do, and do: a host is removed that was only out of reach, and two sides of a broken network
# insist on the same dead one. Nobody is parted for it (docs/ipam.md, "What only lost data can produce").
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done
for name in c1 c2 c3 late1 late3 both1 both3; do make_container "$name"; done

attach() { on "$1" weave attach "${@:3}" "$(path_of "$2")"; } # attach HOST CONTAINER [ADDRESS]: prints the address
address_is() { [ "$(on "$1" weave ps "$(path_of "$2")" | awk '{ print $3 }')" = "$3" ]; } # address_is HOST CONTAINER ADDRESS
misses() { has "unreachable!" grep "($2)" <(on "$1" weave status ipam); }
expect_missed() { eventually 120 misses "$1" "$2" || fail "$2 is not missed on $1: $(on "$1" weave status ipam)"; } # expect_missed ON HOST
conflicts() { on "$1" weave status ipam | grep -E ' in use here by ' || true; }
no_conflicts() { [ -z "$(conflicts "$1")" ]; }
expect_no_conflicts() { eventually 45 no_conflicts "$1" || fail "conflicts on $1: $(conflicts "$1")"; }

step "a host is removed while it is only out of reach, and goes on giving addresses"
SEEDS=seed=::1,::2,::3
launch_peer host1 --ipalloc-init $SEEDS
launch_peer host2 --ipalloc-init $SEEDS 10.99.0.1
launch_peer host3 --ipalloc-init $SEEDS 10.99.0.1 10.99.0.2
expect_mesh 60 host1 host2 host3
for i in 1 2 3; do attach "host$i" "c$i" >"$WORK/address.$i" || fail "no address on host$i"; done
cut_off host3 host1 host2
for other in host1 host2; do
    expect_missed $other host3
    expect_missed host3 $other
done
expect 0 "IPs taken over from host3" on host1 weave rmpeer host3
late=$(attach host3 late3) || fail "no address on host3"

step "it is back: its containers have their addresses, and they are its own again"
plug host3
expect_mesh 120 host1 host2 host3
expect_no_conflicts host3
address_is host3 c3 "$(cat "$WORK/address.3")" || fail "c3 has another address: $(on host3 weave ps)"
address_is host3 late3 "$late" || fail "late3 has another address: $(on host3 weave ps)"
attach host1 late1 >"$WORK/late" || fail "no address on host1"
for address in "$late" "$(cat "$WORK/address.3")"; do
    [ "$(cat "$WORK/late")" != "$address" ] || fail "host1 gave $address, which host3 uses"
    expect_ping c1 "${address%/*}"
done

step "two sides insist on the same dead host, and give the same address"
twice=$(sed 's|[0-9]*/|77/|' "$WORK/address.2")
kill -KILL "$(weaver_of host2)"
expect 0 "" on host2 weave stop
cut_off host3 host1 host2
for host in host1 host3; do expect_missed $host host2; done
expect_missed host3 host1
for host in host1 host3; do expect 0 "IPs taken over from host2" on "$host" weave rmpeer --force host2; done
# What is taken by force rests for two seconds: who asks waits.
for i in 1 3; do expect 0 "${twice%/*}" attach "host$i" "both$i" "ip:$twice"; done

step "they meet: one network, and one side names the address"
plug host3
expect_mesh 120 host1 host3
named() { has "${twice%/*} is in use here by " on "$1" weave status ipam; }
one_names_it() { named host1 || named host3; }
eventually 45 one_names_it || fail "nobody names $twice: $(on host1 weave status ipam; on host3 weave status ipam)"
for i in 1 3; do address_is "host$i" "both$i" "$twice" || fail "both$i has another address: $(on "host$i" weave ps)"; done
expect_ping c1 "$(sed 's|/.*||' "$WORK/address.3")"

step "one of the two containers ends: the other has the address alone"
if named host1; then ends=3; else ends=1; fi
expect 0 "${twice%/*}" on host$ends weave detach "$(path_of both$ends)"
for host in host1 host3; do expect_no_conflicts $host; done
address_is "host$((4 - ends))" "both$((4 - ends))" "$twice" || fail "the other lost $twice"
pass
