#!/bin/bash
# Between starts, too, the peer looks which addresses are in use: what containers had that went without a word is free
# again, and what somebody uses is given to nobody else.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=cni_lib.sh
. "$(dirname "$0")/cni_lib.sh"
command -v jq >/dev/null || skip "needs jq"
command -v curl >/dev/null || skip "needs curl"

make_host host1
for name in web db stays other killed; do make_container $name; done
launch_here() { launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24 --ipalloc-init consensus=1; }
launch_here
holds() { holders host1 | grep -qE "^$1 "; }                                     # holds HOLDER
holds_no() { ! holds "$1"; }
metric() { on host1 curl -sf http://127.0.0.1:6782/metrics | awk -v name="$1" '$1 == name { print $2 }'; } # metric NAME

step "weave ps shows who joined by CNI, and finds them by their ids"
web=$(address_of "$(cni host1 ADD webwebwebweb1 web eth0 "$(config 1.0.0)")")
cni host1 ADD staysstays01 stays eth0 "$(config 1.0.0)" >/dev/null
attached=$(on host1 weave attach "$(path_of db)")
mac_of() { inside "$1" cat "/sys/class/net/$2/address"; }
row="webwebwebweb $(mac_of web eth0) $web"
has "$row" on host1 weave ps || fail "no \"$row\" in: $(on host1 weave ps)"
[ "$(on host1 weave ps webwebwebweb1)" = "$row" ] || fail "weave ps ID: $(on host1 weave ps webwebwebweb1)"
[ "$(on host1 weave ps webwebwebweb)" = "$row" ] || fail "weave ps SHORT ID: $(on host1 weave ps webwebwebweb)"
[ "$(on host1 weave ps "$(path_of web)")" = "$row" ] || fail "weave ps PATH: $(on host1 weave ps "$(path_of web)")"
[ "$(on host1 weave ps | grep -c ' ')" = 4 ] || fail "not the host, two of CNI and one attached: $(on host1 weave ps)"
has "$(mac_of db ethwe) $attached" on host1 weave ps || fail "the attached one is missing: $(on host1 weave ps)"
on host1 weave ps | grep -qvE '^([0-9a-z]{12}|weave:expose) [0-9a-f:]{17}( [0-9./]+)+$' && fail "format: $(on host1 weave ps)"

step "a container that goes without DEL or GC: its address is free again, others keep theirs"
ip netns del "$TAG-web"
gone_at=$SECONDS
# Meanwhile: an ADD that is killed when it has an address and no interface yet.
config 1.0.0 >"$WORK/config"
half_way() { holds killedkilled && lacks "vethweplkilledk" on host1 ip link; }
delay=300 # tenths of a millisecond; a try that comes too late makes the next one earlier, one that comes too early later
for ((try = 0; try < 400; try++)); do
    CNI_COMMAND=ADD CNI_CONTAINERID=killedkilled CNI_NETNS=$(path_of killed) CNI_IFNAME=eth0 CNI_PATH=$BIN \
        WEAVE_API_SOCKET=$(run_dir host1)/peer.sock ip netns exec "$TAG-host1" weave-net \
        <"$WORK/config" >/dev/null 2>&1 &
    add=$!
    sleep "$(printf '0.%04d' $delay)"
    kill -KILL $add 2>/dev/null || true
    wait $add 2>/dev/null || true
    ! half_way || break
    change=$((delay / 10 + RANDOM % 10))
    if holds killedkilled; then
        delay=$((delay > change ? delay - change : 1))
    else
        delay=$((delay + change < 5000 ? delay + change : 300))
    fi
    quietly cni host1 DEL killedkilled killed eth0 "$(config 1.0.0)"
done
half_way || fail "no ADD was killed between address and interface"
killed_at=$SECONDS
# And an address of a holder that has no interface and gives it back itself.
on host1 curl -sf -o /dev/null -X POST http://127.0.0.1:6784/ip/someone || fail "POST /ip"
# And an interface that somebody else makes, with an address that nobody has on record.
on host1 ip link add vethweplman type veth peer name eth7 netns "$TAG-other"
on host1 ip link set vethweplman master weave up
ip -n "$TAG-other" addr add 10.32.0.77/24 dev eth7
eventually 30 holds 10.32.0.77 || fail "what is in use is not on record: $(holders host1)"
logged host1 "claiming an address that is in use and not on record" || fail "no line of the claim"
holds webwebwebweb1 || [ $((SECONDS - gone_at)) -ge 25 ] || fail "freed at once, with no time to come back"
eventually 120 holds_no webwebwebweb1 || fail "what the container had is still held: $(holders host1)"
echo "   free again after $((SECONDS - gone_at)) s"
logged host1 "releasing an address that no interface of this host has any more" || fail "no line of the release"
quietly cni host1 CHECK staysstays01 stays eth0 "$(with_result "$(config 1.0.0)" "$(cni host1 ADD staysstays01 stays eth0 "$(config 1.0.0)")")"
on host1 ip link del vethweplman

step "what a killed ADD left is free again, what somebody made by hand too when it goes"
eventually 120 holds_no killedkilled || fail "what a killed ADD left is still held: $(holders host1)"
echo "   free again after $((SECONDS - killed_at)) s"
eventually 120 holds_no 10.32.0.77 || fail "what is not in use any more is still held: $(holders host1)"
holds someone || fail "an address was taken from a holder that gives it back itself: $(holders host1)"
holds staysstays01 || fail "an address in use was released: $(holders host1)"
[ "$(metric weave_ipam_found_in_use_total) $(metric weave_ipam_found_unused_total)" = "1 3" ] ||
    fail "counted: $(metric weave_ipam_found_in_use_total) claimed, $(metric weave_ipam_found_unused_total) released"

step "the machine starts again: what its containers had is free without anybody's GC"
on host1 weave stop
on host1 ip link del weave
ip netns del "$TAG-stays"
for link in $(on host1 ip -o link show type veth | awk -F'[ :@]+' '$2 ~ /^vethwepl/ { print $2 }'); do on host1 ip link del "$link"; done
rm -rf "$(run_dir host1)"
echo 01234567-89ab-cdef-0123-456789abcdef >"$WORK/boot_id"
booted() { # booted COMMAND...: on the host after its start
    # shellcheck disable=SC2016  # for that shell
    ip netns exec "$TAG-host1" env "WEAVE_API_SOCKET=$(run_dir host1)/peer.sock" WEAVE_NO_PLUGIN=1 \
        unshare --mount --propagation slave sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"' "$WORK/boot_id" "$@"
}
booted weave launch --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24 --ipalloc-init consensus=1 >/dev/null || fail "launch"
booted_at=$SECONDS
holds staysstays01 || fail "not on record at the start: $(holders host1)"
eventually 120 holds_no staysstays01 || fail "what the last boot's container had is still held: $(holders host1)"
echo "   free again after $((SECONDS - booted_at)) s"
holds someone || fail "an address was taken from a holder that gives it back itself: $(holders host1)"
pass
