#!/bin/bash
# The HTTP requests of a recording, in their order, to a real peer: status code, content type and body are those of a
# 2.8 peer, byte for byte but for what clock and chance decide. Then what the recording has not: a peer that is not
# ready, and one without addresses and names.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
for program in jq curl; do command -v $program >/dev/null || skip "needs $program"; done
EXAMPLES=$(dirname "$0")/../golden/vectors/http_examples.json
API=http://127.0.0.1:6784
VERSION=$(weaver version)
VERSION=${VERSION#* }

# ask METHOD URL CURL-WORDS...: the answer in the file $WORK/got, its status and content type in $CODE and $TYPE
ask() {
    local told
    told=$(on "${HOST:-host1}" curl -s -m 10 -o "$WORK/got" -w '%{http_code} %{content_type}' -X "$1" "${@:3}" "$2") ||
        true
    CODE=${told%% *} TYPE=${told#* }
}
answers() { # answers CODE BODY METHOD PATH CURL-WORDS...
    ask "$3" "$API$4" "${@:5}"
    [ "$CODE $(cat "$WORK/got")" = "$1 $2" ] || fail "$3 $4: $CODE $(cat "$WORK/got"), want $1 $2"
}
mask() { # mask FILE: what no two peers have in common
    sed -Ei -e "s/\b(2\.8\.1|$VERSION)\b/VERSION/; s|$WORK|/run|" \
        -e 's/("(UID|ShortID|PacketsReceived)": )[0-9]+/\1NUMBER/' \
        -e 's/"Tombstone":( ?)[1-9][0-9]{8,}/"Tombstone":\1TIME/g; s/"LastSeen": "[^"]*"/"LastSeen": "TIME"/' "$1"
    # How often a range's entry changed is our own affair.
    sed -Ezi 's/("IsKnownPeer":\s*true,\s*"Version":\s*)[0-9]+/\1NUMBER/g' "$1"
}
# Where 2.8 prints a hash table as it comes, we have an order; and what docs/differences.md tells.
want_our_way() { # want_our_way METHOD PATH
    case "$CODE $1 $2" in
        "200 GET /ip") jq -c '.owned |= sort_by(.containerid)' "$WORK/want" >"$WORK/sorted" ;;
        "200 GET /status/targets") sort "$WORK/want" >"$WORK/sorted" ;;
        "200 GET /status/connections") sort -k 2 "$WORK/want" >"$WORK/sorted" ;;
        *) cp "$WORK/want" "$WORK/sorted" ;;
    esac
    sed -E -e 's/^address (bad:port:xx):0: too many colons.*/invalid peer name "\1", should be host[:port]/' \
        -e 's/("ActiveIPs": )2/\13/; s/(local-used.*) 2/\1 3/' "$WORK/sorted" >"$WORK/want"
}
# Of both the samples and their types, in one order; ours are more.
keep_series_of_want() {
    local file
    for file in got want; do
        grep -v '^# HELP' "$WORK/$file" | sort >"$WORK/sorted"
        cp "$WORK/sorted" "$WORK/$file"
    done
    comm -12 "$WORK/got" "$WORK/want" >"$WORK/sorted" && cp "$WORK/sorted" "$WORK/got"
}
no_connections() { [ -z "$(on host1 curl -s $API/status/connections)" ]; }

# An Ethernet on which nobody else answers.
make_host host1
make_container nobody
ip -n "$TAG-host1" link add eth0 type veth peer name eth0 netns "$TAG-nobody"
ip -n "$TAG-host1" addr add 10.77.0.1/24 dev eth0
ip -n "$TAG-host1" link set eth0 up
ip -n "$TAG-nobody" link set eth0 up
echo "nameserver 10.77.0.4" >"$WORK/resolv.conf"
launch host1 --name ::1 --nickname peer1 --no-fastdp --docker-api= \
    --ipalloc-range 10.32.0.0/24 --ipalloc-init seed=::1 --resolv-conf "$WORK/resolv.conf" \
    --dns-listen-address 10.77.0.1:53 --plugin-v2 --plugin-v2-multicast \
    --plugin-socket= --plugin-mesh-socket="$WORK/weavemesh.sock"

step "every request of the recording is answered as 2.8 answered it"
count=0
while IFS=$'\t' read -r port method path form header status type body; do
    words=()
    [ "$form" = - ] || words+=(--data "$form")
    [ "$header" = - ] || words+=(-H "$header")
    # Those that were connected to and forgotten go when they have failed.
    [ "$path" != /report ] || eventually 20 no_connections || fail "connections to nobody stay"
    ask "$method" "http://127.0.0.1:$port$path" "${words[@]}"
    [ "$CODE $TYPE" = "$status ${type#-}" ] ||
        fail "$method $path: $CODE \"$TYPE\", want $status $type: $(cat "$WORK/got")"
    base64 -d <<<"$body" >"$WORK/want"
    want_our_way "$method" "$path"
    [ "$path" != /metrics ] || keep_series_of_want
    mask "$WORK/got"
    mask "$WORK/want"
    cmp -s "$WORK/got" "$WORK/want" || fail "$method $path: $(diff "$WORK/got" "$WORK/want")"
    count=$((count + 1))
done < <(jq -r '.examples[] | [.port, .method, .path, .form // "-", .request_headers[0] // "-", .status,
    .response_headers["content-type"] // "-", (.body | @base64)] | @tsv' "$EXAMPLES")
[ $count -ge 79 ] || fail "only $count requests"

step "a peer that is not ready says so with 503, and what it says is the same"
make_host host2
HOST=host2
mkdir "$WORK/path" # with a packet filter that takes its time
printf '#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.1; done\nexec %s "$@"\n' \
    "$WORK/go" "$(command -v iptables-nft-restore)" >"$WORK/path/iptables-nft-restore"
chmod +x "$WORK/path/iptables-nft-restore"
W_ENV="PATH=$WORK/path:$PATH IPTABLES_BACKEND=nft" start host2 weaver --name ::2 --api-socket "$WORK/peer.sock" \
    --db-prefix "$WORK/weave" --docker-api= --ipalloc-range= --no-dns --http-addr 127.0.0.1:6784 \
    --metrics-addr 127.0.0.1:6781 2>"$WORK/weaver.log"
WEAVER=$!
disown
more_clean_up() { touch "$WORK/go"; kill -KILL "$WEAVER" 2>/dev/null; }
status_is() { ask GET $API/status && [ "$CODE" = "$1" ]; }
eventually 10 status_is 503 || fail "GET /status: $CODE $(cat "$WORK/got" "$WORK/weaver.log")"
has "Service: router" cat "$WORK/got" || fail "503 with $(cat "$WORK/got")"
touch "$WORK/go"
eventually 20 status_is 200 || fail "GET /status: $CODE $(cat "$WORK/got" "$WORK/weaver.log")"

step "without addresses and names their paths are not there; the host can still be exposed"
for path in /ip /ip/c1 /ip/c1/10.32.0.0/24 /ring /ipinfo/defaultsubnet /ipinfo/tracker /name /domain /dns-address \
    /dns-address-port /proxyaddrs; do
    answers 404 "404 page not found" GET $path
done
answers 404 "404 page not found" POST /ip/c1
answers 404 "404 page not found" PUT /name/c1/10.32.0.1
answers 204 "" DELETE /peer
API=http://127.0.0.1:6781 answers 404 "404 page not found" GET /status # --metrics-addr
metrics=$(on host2 curl -s http://127.0.0.1:6781/metrics)
[[ $metrics == *"weave_connection_terminations_total 0"* && $metrics != *weave_max_ips* ]] || fail "metrics: $metrics"
expect 4 "" on host2 env "WEAVE_API_SOCKET=$WORK/peer.sock" weave prime
for _ in once again; do answers 204 "" POST /expose/10.9.9.1/24; done
answers 400 "unable to parse ip addr: invalid CIDR address: 10.9.9.9/33" POST /expose/10.9.9.9/33
pass
