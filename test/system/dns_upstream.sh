#!/bin/bash
# What the network cannot answer: the host's name servers, followed as they change, asked for nobody but its own; another
# domain; and a peer without names.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"
command -v dig >/dev/null || skip "needs dig (bind9-dnsutils)"

# Hosts 8 and 9 have networks of their own: they stand for other people's name servers.
make_network
for host in host1 host8 host9; do make_mesh_host "$host"; done
make_container c1
dig_in() { inside "$1" dig +tries=1 +time=4 "${@:2}"; }
ask() { dig_in c1 @10.2.0.1 "$@"; }
says_within() { has "$2" ask "${@:3}"; }

step "a domain of one's own, with or without a final dot; an address in use is refused by name"
: >"$WORK/resolv.conf"
launch_peer host1 --dns-listen-address 0.0.0.0:53 --resolv-conf "$WORK/resolv.conf" --dns-domain test.domain --dns-ttl 77 \
    --dns-fallback-timeout 1s
launch_peer host8 --dns-listen-address "$(address_of host8):53" --dns-domain corp.example
launch_peer host9 --dns-listen-address "$(address_of host9):53" --dns-domain corp.example.
for n in 8 9; do expect 0 "" on "host$n" weave dns-add "10.0.0.$n" -h www.sub.corp.example; done
expect 0 "" on host1 weave expose 10.2.0.1/16
expect 0 "" on host1 weave attach 10.2.1.1/16 "$(path_of c1)"
expect 0 "" on host1 weave dns-add "$(path_of c1)" -h a.b.test.domain
[ "$(ask +short a.b.test.domain)" = 10.2.1.1 ] || fail "own domain: $(ask a.b.test.domain)"
has $'a.b.test.domain.\t77\t' ask a.b.test.domain || fail "TTL: $(ask a.b.test.domain)"
has "Domain: test.domain." on host1 weave status || fail "status: $(on host1 weave status)"
has "Upstream: none" on host1 weave status || fail "status: $(on host1 weave status)"
[ "$(W_ENV=DOCKER_BRIDGE=weave on host1 weave dns-args)" = "--dns=10.2.0.1 --dns-search=test.domain." ] || fail "dns-args"

step "names of others come from the servers in resolv.conf, over UDP and TCP, and a change is followed"
has "status: SERVFAIL" ask www.sub.corp.example || fail "without a server: $(ask www.sub.corp.example)"
# Two that do not answer before one that does.
printf 'nameserver 10.2.1.1\nnameserver 127.0.0.1\nnameserver %s\n' "$(address_of host8)" >"$WORK/resolv.conf"
eventually 10 says_within 1 "10.0.0.8" www.sub.corp.example || fail "not followed: $(ask www.sub.corp.example)"
has "10.0.0.8" ask +tcp www.sub.corp.example || fail "TCP: $(ask +tcp www.sub.corp.example)"
has "status: NXDOMAIN" ask nosuch.corp.example || fail "an answer is an answer: $(ask nosuch.corp.example)"
echo "nameserver $(address_of host9)" >"$WORK/resolv.conf"
eventually 10 says_within 1 "10.0.0.9" www.sub.corp.example || fail "not followed: $(ask www.sub.corp.example)"
has "Upstream: $(address_of host9)" on host1 weave status || fail "status: $(on host1 weave status)"

step "with dead servers the client is told after the time that was set"
echo "nameserver 10.99.0.77" >"$WORK/resolv.conf"
eventually 15 says_within 1 "status: SERVFAIL" www.sub.corp.example || fail "dead server: $(ask www.sub.corp.example)"
has "status: NXDOMAIN" ask single || fail "a single label is never carried outside: $(ask single)"

step "strangers have nobody asked, but may ask for ours"
ip -n "$TAG-net" addr add 10.99.0.200/24 dev br0
has "status: REFUSED" dig_in net @10.99.0.1 www.sub.corp.example || fail "an open resolver: $(dig_in net @10.99.0.1 www.sub.corp.example)"
[ "$(dig_in net @10.99.0.1 +short a.b.test.domain)" = 10.2.1.1 ] || fail "$(dig_in net @10.99.0.1 a.b.test.domain)"
has "weave_dns_refused_total 1" on host1 curl -s http://127.0.0.1:6782/metrics || fail "refusals are not counted"

step "an address in use is refused with its flag, and nothing is left"
expect 0 "" on host8 weave reset
expect 1 "--dns-listen-address: listen on 192.0.2.1:53" on host8 weave launch --name ::8 --dns-listen-address 192.0.2.1:53

step "a name server of the host is not disturbed: without Docker another port is taken"
# shellcheck disable=SC2016
start host8 perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(Proto => "udp", LocalAddr => "127.0.0.1:53") or die; sleep 600'
taken=$!
eventually 10 sh -c "ip netns exec $TAG-host8 ss -lun | grep -q '127.0.0.1:53 '" || fail "no other name server"
launch_peer host8
lacks "127.0.0.1:53 " on host8 weave report -f '{{.DNS.Address}} ' || fail "the port was taken"
expect 1 "which no container reaches" on host8 weave dns-args
expect 0 "" on host8 weave dns-add 10.0.0.1 -h db.weave.local
expect 0 "10.0.0.1" on host8 weave dns-lookup db
kill "$taken"

step "--no-dns: no port, no paths, no arguments for Docker"
expect 0 "" on host9 weave reset
launch_peer host9 --no-dns
lacks ":53 " on host9 ss -lntu || fail "port 53 is bound: $(on host9 ss -lntu)"
for path in name domain dns-address dns-address-port; do
    has 404 on host9 curl -s -o /dev/null -w '%{http_code}' -H "Accept: application/json" "http://127.0.0.1:6784/$path" || fail "/$path is there"
done
expect 0 "" on host9 weave dns-args
[ -z "$OUT" ] || fail "dns-args: $OUT"
expect 4 "" on host9 weave status dns
expect 4 "" on host9 weave dns-lookup web
lacks "Service: dns" on host9 weave status || fail "status: $(on host9 weave status)"

pass
