#!/bin/bash
# Names of containers on three hosts: registered, answered, gossiped, gone with what they name, there again after a crash.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"
command -v dig >/dev/null || skip "needs dig (bind9-dnsutils)"

make_network
for host in host1 host2 host3; do make_mesh_host "$host"; done
for name in c1 c2 c3; do make_container "$name"; done

# ask CONTAINER NAME DIG-WORDS...: what its host's name server says, which it reaches at the host's own address in the network
ask() { inside "$1" dig +tries=1 +time=2 "@10.2.0.${1#c}" "${@:2}"; }
short() { ask "$@" +short | sort | tr '\n' ' '; }
answers_with() { [ "$(short "$1" "$2")" = "$3" ]; } # answers_with CONTAINER NAME "ADDRESSES "
expect_answer() { eventually 10 answers_with "$@" || fail "$1 asks for $2 and gets \"$(short "$1" "$2")\", want \"$3\""; }
expect_everywhere() { for container in c1 c2 c3; do expect_answer "$container" "$@"; done; }
lookup() { on "$1" weave dns-lookup "$2" | sort | tr '\n' ' '; }

step "three peers, each with a container and an address of its own"
launch_names() { launch_peer "$@" --dns-listen-address 0.0.0.0:53 --resolv-conf "$WORK/resolv.conf"; }
: >"$WORK/resolv.conf"
launch_names host1
launch_names host2 "$(address_of host1)"
launch_names host3 "$(address_of host1)"
expect_mesh 30 host1 host2 host3
for n in 1 2 3; do
    expect 0 "" on "host$n" weave expose "10.2.0.$n/16" -h "host$n.weave.local"
    expect 0 "" on "host$n" weave attach "10.2.1.$n/16" "$(path_of "c$n")"
    expect 0 "" on "host$n" weave dns-add "$(path_of "c$n")" -h web.weave.local
done

step "a name is known on every host, with the addresses of all"
expect_everywhere web.weave.local "10.2.1.1 10.2.1.2 10.2.1.3 "
expect_everywhere WEB.Weave.Local "10.2.1.1 10.2.1.2 10.2.1.3 "
expect_everywhere host2.weave.local "10.2.0.2 "
answers_with c1 web. "10.2.1.1 10.2.1.2 10.2.1.3 " || fail "an unqualified name is not found"
[ "$(lookup host3 web)" = "10.2.1.1 10.2.1.2 10.2.1.3 " ] || fail "dns-lookup: $(lookup host3 web)"
[ "$(ask c1 -x 10.2.1.3 +short)" = web.weave.local. ] || fail "reverse lookup: $(ask c1 -x 10.2.1.3)"
has "status: NOERROR" ask c1 web.weave.local AAAA || fail "AAAA: $(ask c1 web.weave.local AAAA)"
has "ANSWER: 0" ask c1 web.weave.local SRV || fail "SRV: $(ask c1 web.weave.local SRV)"
has "status: NXDOMAIN" ask c1 nosuch.weave.local || fail "an unknown name: $(ask c1 nosuch.weave.local)"
has $'web.weave.local.\t1\tIN' ask c1 web.weave.local || fail "not a TTL of 1: $(ask c1 web.weave.local)"

step "addresses come in any order"
eventually 10 sh -c "[ \$(for i in 1 2 3 4 5 6 7 8 9 10; do ip netns exec $TAG-c1 dig @10.2.0.1 +short web.weave.local | head -1; done | sort -u | wc -l) = 3 ]" ||
    fail "one address is always the first"

step "status, report, metrics and HTTP tell of names"
has "        Entries: 6" on host1 weave status || fail "status: $(on host1 weave status)"
has "web          10.2.1.2        $(on host2 weave ps | awk '/10.2.1.2/{print $1}') $(name_of host2)" on host1 weave status dns ||
    fail "status dns: $(on host1 weave status dns)"
[ "$(on host1 weave report -f '{{.DNS.Domain}} {{len .DNS.Entries}}')" = "weave.local. 6" ] || fail "report: $(on host1 weave report)"
has "weave_dns_entries 2" on host1 curl -s http://127.0.0.1:6782/metrics || fail "metrics"
api() { on host1 curl -s -w ' %{http_code}' "$@"; }
url=http://127.0.0.1:6784
[ "$(api $url/domain) $(api $url/dns-address) $(api $url/dns-address-port)" = "weave.local. 200 0.0.0.0 200 0.0.0.0:53 200" ] || fail "HTTP: $(api $url/domain)"
[ "$(api -X PUT -d fqdn=api.weave.local $url/name/x1/10.2.9.9)" = " 204" ] || fail "PUT"
[ "$(api -X PUT -d fqdn=api.example.com $url/name/x1/10.2.9.9)" = " 204" ] || fail "PUT of another domain"
[ "$(api -X PUT -d fqdn=api.weave.local $url/name/x1/xyz)" = $'invalid IP Address: xyz\n 400' ] || fail "PUT of no address"
has '"ContainerID":"x1","Origin":1,"Addr":"10.2.9.9","Hostname":"api.weave.local.","Version":0,"Tombstone":0' \
    api -H "Accept: application/json" $url/name || fail "GET /name"
[ "$(api $url/name)" = " 405" ] || fail "GET /name without Accept"
expect_answer c3 api.weave.local "10.2.9.9 "
[ "$(api -X PUT -d fqdn=api.weave.local $url/name/x2/10.2.9.8)" = " 204" ] || fail "PUT for another container"
[ "$(api -X PUT -d fqdn=api.weave.local $url/name/x2/10.2.9.7)" = " 204" ] || fail "PUT of another address"
[ "$(api -X PUT -d fqdn=old.weave.local $url/name/x2/10.2.9.8)" = " 204" ] || fail "PUT of another name"
expect_everywhere api.weave.local "10.2.9.7 10.2.9.8 10.2.9.9 "
[ "$(api -X DELETE $url/name/x1)" = " 204" ] || fail "DELETE of a container"
expect_everywhere api.weave.local "10.2.9.7 10.2.9.8 "
[ "$(api -X DELETE "$url/name/x2?fqdn=api.weave.local")" = " 204" ] || fail "DELETE of a name"
expect_everywhere api.weave.local ""
expect_everywhere old.weave.local "10.2.9.8 "
[ "$(api -X DELETE $url/name/x2/10.2.9.8)" = " 204" ] || fail "DELETE of an address"
expect_everywhere old.weave.local ""

step "60 addresses: UDP gets what fits and says so, TCP and EDNS get all"
for i in $(seq 60); do echo "10.2.5.$i"; done | xargs sh -c 'ip netns exec '"$TAG"'-host1 env WEAVE_API_SOCKET='"$(run_dir host1)"'/peer.sock weave dns-add "$@" -h many.weave.local' _
eventually 10 sh -c "[ \$(ip netns exec $TAG-c2 dig @10.2.0.2 +tcp +short many.weave.local | wc -l) = 60 ]" || fail "TCP: $(short c2 many.weave.local)"
has "flags: qr aa tc rd ra" ask c2 many.weave.local +noedns +ignore || fail "UDP: $(ask c2 many.weave.local +noedns +ignore)"
has "ANSWER: 15" ask c2 many.weave.local +noedns +ignore || has "ANSWER: 14" ask c2 many.weave.local +noedns +ignore || fail "UDP: $(ask c2 many.weave.local +noedns +ignore)"
[ "$(ask c2 many.weave.local +noedns +short | wc -l)" = 60 ] || fail "UDP, then TCP"
[ "$(ask c2 many.weave.local +bufsize=4096 +ignore +short | wc -l)" = 60 ] || fail "EDNS"

step "kill -9: names of what is still there are there again, and nobody has lost them"
crash host1
expect_everywhere web.weave.local "10.2.1.1 10.2.1.2 10.2.1.3 "
expect_answer c1 host1.weave.local "10.2.0.1 "
[ "$(ask c2 many.weave.local +tcp +short | wc -l)" = 60 ] || fail "weave:extern lost names"

step "a container that ends takes its name with it, everywhere"
ip netns del "$TAG-c3"
CONTAINERS=("${CONTAINERS[@]/c3/}")
for container in c1 c2; do eventually 2 answers_with "$container" web.weave.local "10.2.1.1 10.2.1.2 " || fail "$container: $(short "$container" web.weave.local)"; done

step "detach, hide and dns-remove take names back"
expect 0 "" on host2 weave detach 10.2.1.2/16 "$(path_of c2)"
expect_answer c1 web.weave.local "10.2.1.1 "
expect 0 "" on host1 weave dns-remove "$(path_of c1)"
expect_answer c1 web.weave.local ""
expect 0 "" on host3 weave hide 10.2.0.3/16
expect_answer c1 host3.weave.local ""
expect 0 "" on host2 weave dns-add 10.2.8.1 10.2.8.2 -h more.weave.local
expect 0 "" on host2 weave dns-add 10.2.8.3 "$(path_of c2)" -h more.weave.local
expect_answer c1 more.weave.local "10.2.8.1 10.2.8.2 10.2.8.3 "
expect 0 "" on host2 weave dns-remove 10.2.8.1 -h more.weave.local
expect_answer c1 more.weave.local "10.2.8.2 10.2.8.3 "
expect 0 "" on host2 weave dns-remove "$(path_of c2)" -h more.weave.local
expect_answer c1 more.weave.local "10.2.8.2 "
expect 0 "" on host2 weave dns-remove 10.2.8.2 -h more.weave.local
expect_answer c1 more.weave.local ""
has "status: NXDOMAIN" ask c1 more.weave.local || fail "a removed name: $(ask c1 more.weave.local)"

step "the names of a peer that is gone go, and come back with it"
expect 0 "" on host2 weave dns-add 10.2.7.7 -h db.weave.local
expect_answer c1 db.weave.local "10.2.7.7 "
expect 0 "" on host2 weave stop
expect_answer c1 db.weave.local ""
launch_names host2 "$(address_of host1)"
expect_answer c1 db.weave.local "10.2.7.7 "
pass
