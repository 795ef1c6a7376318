#!/bin/bash
# Between starts, too, the peer looks which addresses are in use: what containers had that went without a word is free
# again, and what somebody uses is given to nobody else.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=cni_lib.sh
. "$(dirname "$0")/cni_lib.sh"
command -v jq >/dev/null || skip "needs jq"
command -v curl >/dev/null || skip "needs curl"

for name in host1 host2; do make_host $name; done
for name in web db stays other killed ended; do make_container $name; done
slow_packet_filter
FLAGS=(--ipalloc-range 10.32.0.0/24 --ipalloc-init consensus=1)
W_ENV="PATH=$SLOW_PATH" launch host1 --name ::1 --nickname host1 "${FLAGS[@]}"
holds() { holders "${2:-host1}" | grep -qE "^$1 "; } # holds HOLDER [HOST]
holds_no() { ! holds "$@"; }
someone_holds() { quietly on "$1" curl -sf -o /dev/null -X POST http://127.0.0.1:6784/ip/someone; } # and gives it back itself
metric() { on host1 curl -sf http://127.0.0.1:6782/metrics | awk -v name="$1" '$1 == name { print $2 }'; } # metric NAME

step "an ADD is killed when it has an address and no interface yet"
# The first ADD waits until the bridge has an address, which waits for the packet filter.
config 1.0.0 >"$WORK/config"
hold_packet_filter
start_cni host1 ADD killedkilled killed eth0 "$WORK/config" "$WORK/killed"
add=$!
eventually 10 holds killedkilled || fail "ADD was given no address: $(cat "$WORK/killed")"
kill -KILL $add
wait $add 2>/dev/null || true
go_on_filtering
lacks vethweplkilledk on host1 ip link || fail "the ADD that was killed has an interface: $(on host1 ip link)"
killed_at=$SECONDS

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

step "a machine starts again: what its containers had is still on record, and soon free without anybody's GC"
launch host2 --name ::2 --nickname host2 "${FLAGS[@]}"
cni host2 ADD endedended01 ended eth0 "$(config 1.0.0)" >/dev/null
someone_holds host2
on host2 weave stop
on host2 ip link del weave
ip netns del "$TAG-ended"
for link in $(on host2 ip -o link show type veth | awk -F'[ :@]+' '$2 ~ /^vethwepl/ { print $2 }'); do on host2 ip link del "$link"; done
rm -rf "$(run_dir host2)"
echo 01234567-89ab-cdef-0123-456789abcdef >"$WORK/boot_id"
# shellcheck disable=SC2016  # for that shell
start host2 unshare --mount --propagation slave sh -c 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"' "$WORK/boot_id" \
    weave launch --name ::2 --nickname host2 "${FLAGS[@]}" >/dev/null
wait $! || fail "launch after the start of the machine"
booted_at=$SECONDS
holds endedended01 host2 || fail "not on record at the start: $(holders host2)"

step "a container that goes without DEL or GC: its address is free again, others keep theirs"
ip netns del "$TAG-web"
gone_at=$SECONDS
someone_holds host1
# An interface that somebody else makes, with an address that nobody has on record.
on host1 ip link add vethweplman type veth peer name eth7 netns "$TAG-other"
on host1 ip link set vethweplman master weave up
ip -n "$TAG-other" addr add 10.32.0.77/24 dev eth7
eventually 30 holds 10.32.0.77 || fail "what is in use is not on record: $(holders host1)"
logged host1 "claiming an address that is in use and not on record" || fail "no line of the claim"
on host1 ip link del vethweplman
holds webwebwebweb1 || [ $((SECONDS - gone_at)) -ge 25 ] || fail "freed at once, with no time to come back"
eventually 120 holds_no webwebwebweb1 || fail "what the container had is still held: $(holders host1)"
echo "   free again after $((SECONDS - gone_at)) s"
logged host1 "releasing an address that no interface of this host has any more" || fail "no line of the release"
quietly cni host1 CHECK staysstays01 stays eth0 "$(with_result "$(config 1.0.0)" "$(cni host1 ADD staysstays01 stays eth0 "$(config 1.0.0)")")"

step "what a killed ADD left is free again, what somebody made by hand too when it goes"
eventually 120 holds_no killedkilled || fail "what a killed ADD left is still held: $(holders host1)"
echo "   free again after $((SECONDS - killed_at)) s"
eventually 120 holds_no 10.32.0.77 || fail "what is not in use any more is still held: $(holders host1)"
holds someone || fail "an address was taken from a holder that gives it back itself: $(holders host1)"
holds staysstays01 || fail "an address in use was released: $(holders host1)"
[ "$(metric weave_ipam_found_in_use_total) $(metric weave_ipam_found_unused_total)" = "1 3" ] ||
    fail "counted: $(metric weave_ipam_found_in_use_total) claimed, $(metric weave_ipam_found_unused_total) released"

step "what the containers of the machine that started again had is free"
eventually 120 holds_no endedended01 host2 || fail "what the last boot's container had is still held: $(holders host2)"
echo "   free again after $((SECONDS - booted_at)) s"
holds someone host2 || fail "an address was taken from a holder that gives it back itself: $(holders host2)"
pass
