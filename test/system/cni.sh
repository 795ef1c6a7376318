#!/bin/bash
# weave-net as container runtimes call it: every command in every version of CNI, on a real peer.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=cni_lib.sh
. "$(dirname "$0")/cni_lib.sh"
command -v jq >/dev/null || skip "needs jq"
command -v curl >/dev/null || skip "needs curl"

make_host host1
make_container web
make_container db
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24

step "two containers reach each other and the host, by the name and MTU they were given"
web=$(cni host1 ADD webwebweb web eth0 "$(config 1.1.0 ', "mtu": 1400')") || fail "ADD: $web"
db=$(cni host1 ADD dbdbdbdb db net1 "$(config 0.3.0)") || fail "ADD: $db"
expect_ping web "$(address_of "$db" | cut -d/ -f1)"
expect_ping web "$(jq -r '.ips[0].gateway' <<<"$web")"
has "mtu 1400" inside web ip link show eth0 || fail "mtu: $(inside web ip link show eth0)"
[ "$(inside web ip -4 route show default)" = "default via $(jq -r '.ips[0].gateway' <<<"$web") dev eth0 " ] ||
    fail "routes: $(inside web ip route)"
has "224.0.0.0" inside web ip route && fail "a multicast route"
has "$(jq -r '.ips[0].gateway' <<<"$web")" on host1 ip -o addr show dev weave || fail "the bridge has not the gateway's address"
[ -z "$(on host1 weave status dns)" ] || fail "names that nobody asked for: $(on host1 weave status dns)"

step "the result names both ends as they are"
[ "$(jq -r '.interfaces[1] | "\(.name) \(.mac) \(.mtu) \(.sandbox)"' <<<"$web")" = \
    "eth0 $(inside web cat /sys/class/net/eth0/address) 1400 $(path_of web)" ] || fail "$web"
[ "$(jq -r '.interfaces[0].name' <<<"$web")" = vethweplwebwebw ] || fail "$web"
has hairpin on host1 bridge -d link show dev vethweplwebwebw && lacks "hairpin off" on host1 bridge -d link show dev vethweplwebwebw ||
    fail "no hairpin mode"

step "again: the same interface, the same address"
again=$(cni host1 ADD webwebweb web eth0 "$(config 1.1.0 ', "mtu": 1400')") || fail "ADD again: $again"
[ "$again" = "$web" ] || fail "ADD again: $again, before: $web"

step "CHECK finds what is missing"
checked=$(with_result "$(config 1.0.0)" "$web")
quietly cni host1 CHECK webwebweb web eth0 "$checked"
inside web ip route del default
fails_with 101 "lacks the route to 0.0.0.0/0" cni host1 CHECK webwebweb web eth0 "$checked"
cni host1 ADD webwebweb web eth0 "$(config 1.0.0)" >/dev/null
quietly cni host1 CHECK webwebweb web eth0 "$checked"
inside web ip addr del "$(address_of "$web")" dev eth0
fails_with 101 "lacks the address $(address_of "$web")" cni host1 CHECK webwebweb web eth0 "$checked"
on host1 ip link set vethweplwebwebw nomaster
fails_with 101 "is not on bridge" cni host1 CHECK webwebweb web eth0 "$checked"
fails_with 7 "prevResult is missing" cni host1 CHECK webwebweb web eth0 "$(config 1.0.0)"
fails_with 1 "does not allow CHECK" cni host1 CHECK webwebweb web eth0 "$(config 0.3.1)"

step "DEL, again, and without a namespace"
quietly cni host1 DEL webwebweb web eth0 "$checked"
has eth0 inside web ip link && fail "eth0 is still there"
quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
quietly cni host1 DEL webwebweb - eth0 "$(config 1.0.0)"
quietly cni host1 DEL webwebweb /run/netns/nosuch eth0 "$(config 1.0.0)"
quietly cni host1 DEL dbdbdbdb - net1 "$(config 0.3.0)"
has net1 inside db ip link && fail "DEL without a namespace left the interface with an address that is free"
[ "$(holders host1 | grep -vc weave:expose)" = 0 ] || fail "left: $(holders host1)"

step "behind DEL nothing is left to happen: ADD at once, 50 times, and somebody else with the address"
gone() { ! inside "$1" ip link show eth0 >/dev/null 2>&1 && ! on host1 ip link show "$2" >/dev/null 2>&1; } # gone CONTAINER HOST-END
for ((i = 0; i < 50; i++)); do
    web=$(cni host1 ADD webwebweb web eth0 "$(config 1.0.0)") || fail "ADD number $i: $web"
    quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
    gone web vethweplwebwebw || fail "after DEL number $i: $(inside web ip link) $(on host1 ip link)"
done
fails_with 101 "is missing" cni host1 CHECK webwebweb web eth0 "$(with_result "$(config 1.0.0)" "$web")"
db=$(cni host1 ADD dbdbdbdb db eth0 "$(config 1.0.0)") || fail "ADD: $db"
web=$(cni host1 ADD webwebweb web eth0 "$(config 1.0.0)") || fail "ADD: $web"
[ "$(address_of "$web")" != "$(address_of "$db")" ] || fail "given twice: $(address_of "$db")"
expect_ping web "$(address_of "$db" | cut -d/ -f1)"
quietly cni host1 DEL dbdbdbdb db eth0 "$(config 1.0.0)"
quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"

step "DEL of a container whose namespace only a process is left in"
make_container held
cni host1 ADD heldheld held eth0 "$(config 1.0.0)" >/dev/null
in_background held sleep 60 &
holder=$!
is_inside() { [ "$(readlink "/proc/$holder/ns/net")" != "$(readlink /proc/self/ns/net)" ]; }
eventually 5 is_inside || fail "the process is not there"
ip netns del "$TAG-held"
quietly cni host1 DEL heldheld held eth0 "$(config 1.0.0)"
has eth0 nsenter --net="/proc/$holder/ns/net" ip link && fail "the interface stays"
kill $holder

step "a container in the network twice has two addresses"
cni host1 ADD twice web eth0 "$(config 1.0.0)" >/dev/null
cni host1 ADD twice web net1 "$(config 1.0.0)" >/dev/null
[ "$(holders host1 | grep -c '^twice ')" = 2 ] || fail "$(holders host1)"
quietly cni host1 DEL twice web net1 "$(config 1.0.0)"
[ "$(holders host1 | grep -c '^twice ')" = 1 ] || fail "$(holders host1)"
quietly cni host1 DEL twice web eth0 "$(config 1.0.0)"

step "interfaces of others are neither taken nor deleted"
ip -n "$TAG-web" link add eth0 type veth peer name other
before=$(state)
fails_with 100 'has an interface "eth0" already' cni host1 ADD webwebweb web eth0 "$(config 1.0.0)"
quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
[ "$(state)" = "$before" ] || fail "changed: $(diff <(echo "$before") <(state))"
ip -n "$TAG-web" link del eth0

step "a route that the container has is left to it"
ip -n "$TAG-web" link add own type veth peer name own-peer
ip -n "$TAG-web" link set own up
ip -n "$TAG-web" route add default dev own
routed=$(cni host1 ADD webwebweb web eth0 "$(config 1.0.0)") || fail "$routed"
[ "$(jq -c '.routes // []' <<<"$routed")" = "[]" ] || fail "$routed"
quietly cni host1 CHECK webwebweb web eth0 "$(with_result "$(config 1.0.0)" "$routed")"
quietly cni host1 DEL webwebweb web eth0 "$(config 1.0.0)"
ip -n "$TAG-web" link del own

step "another plugin's addresses"
cat >"$WORK/give" <<'PLUGIN'
#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID" >>"$0.calls"
[ ! -e "$0.fails" ] || { echo '{"code": 11, "msg": "come back later", "details": "all busy"}'; exit 1; }
input=$(cat)
case "$input" in *'"own": [1, 2]'* | *'"own":[1,2]'*) ;; *) echo '{"code": 100, "msg": "lost a member"}'; exit 1 ;; esac
[ "$CNI_COMMAND" != ADD ] || echo '{"ips": [{"address": "10.9.0.7/24", "gateway": "10.9.9.1"}], "dns": {"domain": "given"}}'
PLUGIN
chmod +x "$WORK/give"
given_config=$(config 1.0.0 ', "ipam": {"type": "give", "own": [1, 2], "subnet": {"any": "form"}}')
CNI_DIRS=/nosuch:$WORK
given=$(cni host1 ADD webwebweb web eth0 "$given_config") || fail "$given"
[ "$(jq -c '[.ips[0].address, .ips[0].gateway, .dns.domain]' <<<"$given")" = '["10.9.0.7/24","10.9.9.1","given"]' ] || fail "$given"
has "default via 10.9.9.1 dev eth0" inside web ip route || fail "$(inside web ip route)"
quietly cni host1 CHECK webwebweb web eth0 "$(with_result "$given_config" "$given")"
quietly cni host1 DEL webwebweb web eth0 "$given_config"
touch "$WORK/give.fails"
fails_with 11 "come back later" cni host1 ADD webwebweb web eth0 "$given_config"
[ "$(cut -d' ' -f1 "$WORK/give.calls" | xargs)" = "ADD CHECK DEL ADD DEL" ] || fail "calls: $(cat "$WORK/give.calls")"
has eth0 inside web ip link && fail "a failed ADD left an interface"
unset CNI_DIRS
fails_with 7 "no such plugin" cni host1 ADD webwebweb web eth0 "$given_config"

step "GC frees what this network's attachments left, and nothing else"
quietly on host1 curl -sf -o /dev/null -X POST http://127.0.0.1:6784/ip/someone
make_container attached
on host1 weave attach "$(path_of attached)" >/dev/null
quietly cni host1 DEL attached attached ethwe "$(config 1.1.0)"
has ethwe inside attached ip link || fail "DEL took the interface of weave attach"
keep=$(cni host1 ADD keepkeep web eth0 "$(config 1.1.0)")
cni host1 ADD goesgoes db eth0 "$(config 1.1.0)" >/dev/null
ip netns add "$TAG-gone"
cni host1 ADD crashed gone eth0 "$(config 1.1.0)" >/dev/null
ip netns del "$TAG-gone"
other=$(jq -c '.name = "other"' <<<"$(config 1.1.0)")
cni host1 ADD elsewhere db net1 "$other" >/dev/null
held=$(holders host1)
valid=', "cni.dev/valid-attachments": [{"containerID": "keepkeep", "ifname": "eth0"}]'
quietly cni host1 GC - - - "$(config 1.1.0 "$valid")"
[ "$(holders host1)" = "$(grep -vE '^(goesgoes|crashed) ' <<<"$held")" ] || fail "left: $(holders host1)"
has eth0 inside db ip link && fail "GC left the interface of an attachment that is not valid"
has net1 inside db ip link || fail "GC took another network's interface"
quietly cni host1 CHECK keepkeep web eth0 "$(with_result "$(config 1.1.0)" "$keep")"
fails_with 7 "valid-attachments is missing" cni host1 GC - - - "$(config 1.1.0)"
fails_with 1 "does not allow GC" cni host1 GC - - - "$(config 1.0.0 "$valid")"
[ "$(holders host1)" = "$(grep -vE '^(goesgoes|crashed) ' <<<"$held")" ] || fail "a refused GC freed: $(holders host1)"
quietly cni host1 DEL elsewhere db net1 "$other"

step "a container's address is freed by its id alone, as with 2.8"
on host1 curl -sf -X DELETE http://127.0.0.1:6784/ip/keepkeep || fail "DELETE /ip"
holders host1 | grep -q '^keepkeep ' && fail "$(holders host1)"
quietly cni host1 DEL keepkeep web eth0 "$(config 1.1.0)"

step "ADD again after the address was freed behind its back: the interface has the new one alone"
cni host1 ADD webwebweb web eth0 "$(config 1.1.0)" >/dev/null
on host1 curl -sf -X DELETE http://127.0.0.1:6784/ip/webwebweb || fail "DELETE /ip"
cni host1 ADD otherother db net1 "$(config 1.1.0)" >/dev/null # has it now, perhaps
web=$(cni host1 ADD webwebweb web eth0 "$(config 1.1.0)") || fail "$web"
[ "$(inside web ip -o -4 addr show dev eth0 | awk '{print $4}')" = "$(address_of "$web")" ] || fail "$(inside web ip addr)"
quietly cni host1 CHECK webwebweb web eth0 "$(with_result "$(config 1.1.0)" "$web")"
quietly cni host1 DEL webwebweb web eth0 "$(config 1.1.0)"
quietly cni host1 DEL otherother db net1 "$(config 1.1.0)"

step "STATUS, and every command with the peer down: an error to try again with, and no address in use is freed"
quietly cni host1 STATUS - - - "$(config 1.1.0)"
cni host1 ADD webwebweb web eth0 "$(config 1.1.0)" >/dev/null
on host1 weave stop
fails_with 50 "does not answer" cni host1 STATUS - - - "$(config 1.1.0)"
fails_with 11 "does not answer" cni host1 ADD dbdbdbdb db eth0 "$(config 1.1.0)"
has eth0 inside db ip link && fail "a failed ADD left an interface"
fails_with 11 "does not answer" cni host1 DEL webwebweb web eth0 "$(config 1.1.0)"
has eth0 inside web ip link && fail "DEL without a peer left the interface"
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24
quietly cni host1 DEL webwebweb web eth0 "$(config 1.1.0)"
holders host1 | grep -q '^webwebweb ' && fail "$(holders host1)"

step "STATUS when the range has no address left, and when it has one again"
make_host host2
on host2 weave launch --name ::2 --nickname host2 --no-dns --ipalloc-range 10.33.0.0/29 >/dev/null || fail "no second peer"
small=$(config 1.1.0 ', "ipam": {"subnet": "10.33.0.0/29", "gateway": "10.33.0.6"}')
quietly cni host2 STATUS - - - "$small"
make_container full
for ((i = 0; i < 5; i++)); do
    quietly on host2 curl -sf -o /dev/null -X POST "http://127.0.0.1:6784/ip/filler$i"
done
quietly cni host2 STATUS - - - "$small"
cni host2 ADD fullfull full eth0 "$small" >/dev/null || fail "no sixth address"
fails_with 50 "no address of 10.33.0.0/29 is free" cni host2 STATUS - - - "$small"
fails_with 50 "no address of 10.33.0.0/29 is free" cni host2 STATUS - - - "$(config 1.1.0)"
fails_with 50 "no address of 10.33.0.0/29 is free" cni host2 STATUS - - - "$small" weave-ipam
quietly cni host2 DEL fullfull full eth0 "$small"
quietly cni host2 STATUS - - - "$small"
on host2 weave reset --force

step "a lost store: addresses in use are not given out again, and are freed by who made the interface"
make_container fresh
mine=$(on host1 weave attach "$(path_of web)")
cnis=$(address_of "$(cni host1 ADD dbdbdbdb db eth0 "$(config 1.0.0)")")
on host1 weave stop
[ -e "$(store_of host1)" ] || fail "no store at $(store_of host1)"
rm "$(store_of host1)"*
launch host1 --name ::1 --nickname host1 --ipalloc-range 10.32.0.0/24 --ipalloc-init consensus=1
next=$(on host1 weave attach "$(path_of fresh)")
[ "$next" != "$mine" ] && [ "$next" != "$cnis" ] || fail "$next is given twice"
holders host1 | grep -qxF "dbdbdbdb $cnis" || fail "$(holders host1)"
[ "$(on host1 weave attach "$(path_of web)")" = "$mine" ] || fail "attached again: another address than $mine"
quietly cni host1 DEL dbdbdbdb db eth0 "$(config 1.0.0)"
on host1 weave detach "$(path_of web)" >/dev/null
on host1 weave detach "$(path_of fresh)" >/dev/null
holders host1 | grep -qF -e "$mine" -e "$cnis" && fail "left: $(holders host1)"

step "what is malformed is named, and changes nothing"
remember_state
for input in '' '{' '[]' '{"cniVersion": 3}' '{"cniVersion": "1.0.0", "name": "weave", "mtu": "much"}'; do
    fails_with 6 "cannot read" cni host1 ADD webwebweb web eth0 "$input"
done
fails_with 1 'config is "2.0.0"' cni host1 ADD webwebweb web eth0 "$(config 2.0.0)"
fails_with 7 "name" cni host1 ADD webwebweb web eth0 '{"cniVersion": "1.0.0", "name": "we ave"}'
fails_with 7 "mtu 70000" cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "mtu": 70000')"
fails_with 7 'bridge "a/b"' cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "bridge": "a/b"')"
fails_with 100 'no bridge "nosuch"' cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "bridge": "nosuch"')"
fails_with 2 '"isGateway": true' cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "isGateway": true')"
fails_with 2 '"ipMasq": true' cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "ipMasq": true')"
fails_with 7 "ipam.subnet" cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "ipam": {"subnet": "10.32.0.1/16"}')"
fails_with 7 "ipam.gateway" cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "ipam": {"gateway": "fd00::1"}')"
fails_with 7 "ipam.routes" cni host1 ADD webwebweb web eth0 "$(config 1.0.0 ', "ipam": {"routes": [{"dst": "all"}]}')"
fails_with 4 "CNI_CONTAINERID" cni host1 ADD ../x web eth0 "$(config 1.0.0)"
fails_with 4 "CNI_IFNAME" cni host1 ADD webwebweb web waytoolongforaname "$(config 1.0.0)"
fails_with 4 "CNI_NETNS is missing" cni host1 ADD webwebweb - eth0 "$(config 1.0.0)"
fails_with 4 "host's own" cni host1 ADD webwebweb "/run/netns/$TAG-host1" eth0 "$(config 1.0.0)"
fails_with 4 "not a network namespace" cni host1 ADD webwebweb /etc/passwd eth0 "$(config 1.0.0)"
fails_with 3 "/run/netns/nosuch" cni host1 ADD webwebweb /run/netns/nosuch eth0 "$(config 1.0.0)"
fails_with 4 "unknown CNI_COMMAND: NONSENSE" cni host1 NONSENSE webwebweb web eth0 "$(config 1.0.0)"
[ "$(holders host1 | grep -c '^webwebweb ')" = 0 ] || fail "left: $(holders host1)"
expect_state_as_before "refused calls"

step "a name that is no plugin's"
ln -s "$(realpath "$BIN/weave-plugin")" "$WORK/weave-what"
expect 1 "weave-what: this program is" "$WORK/weave-what"

step "the program under its own name refuses a call of CNI instead of serving"
expect 1 "weave-plugin: this program is" timeout 10 env CNI_COMMAND=VERSION "$BIN/weave-plugin"
pass
