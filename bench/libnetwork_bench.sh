#!/bin/bash
# libnetwork_bench.sh [RUNS]: how long Docker waits for each answer of the plugin while containers come and go, on one
# connection as dockerd holds it, what the program needs of memory, and with REFERENCE=WEAVER the same of a `weaver` of Weave
# Net 2.8, in turns. Needs root and WEAVE_BIN.
# shellcheck source-path=SCRIPTDIR source=../test/system/lib.sh
. "$(dirname "$0")/../test/system/lib.sh"
# shellcheck source-path=SCRIPTDIR source=../test/system/mesh_lib.sh
. "$(dirname "$0")/../test/system/mesh_lib.sh"
# shellcheck source-path=SCRIPTDIR source=pairs_lib.sh
. "$(dirname "$0")/pairs_lib.sh"
# shellcheck source-path=SCRIPTDIR source=latency_lib.sh
. "$(dirname "$0")/latency_lib.sh"
perl -MTime::HiRes -e 1 2>/dev/null || skip "needs perl with Time::HiRes"
runs=${1:-200}
plugins=()
more_clean_up() { [ ${#plugins[@]} -eq 0 ] || kill -KILL "${plugins[@]}" 2>/dev/null; }

# Steps of a container's life, one line each: label, microseconds.
cat >"$WORK/dockerd.pl" <<'PERL'
use strict; use IO::Socket::UNIX; use Time::HiRes 'time';
my ($socket, $who, $runs, $first) = @ARGV;
my $connection = IO::Socket::UNIX->new(Peer => $socket) or die "$socket: $!";
my $life = 0;
sub ask {
  my ($method, $body) = @_;
  my $start = time;
  print $connection "POST /$method HTTP/1.1\r\nHost: p\r\nAccept: application/vnd.docker.plugins.v1.2+json\r\nContent-Length: "
      . length($body) . "\r\n\r\n$body";
  $connection->flush;
  my $status = <$connection> // die "$method: closed";
  my $length = 0;
  while ((my $line = <$connection>) ne "\r\n") { $length = $1 if $line =~ /^content-length: *(\d+)/i }
  read $connection, my $answer, $length;
  my $took = (time - $start) * 1e6;
  die "$method $body: $status$answer" if $status !~ / 200 /;
  printf "%s/%s %d\n", $who, $method =~ s/.*\.//r, $took;
  $life += $took;
  return $answer;
}
my $pool = 'weave-10.48.0.0/12-10.48.0.0/12';
for my $run ($first .. $first + $runs - 1) {
  my $id = sprintf '%s%04d0123456789abcdef', $who eq 'ours' ? 'a' : 'b', $run;
  $life = 0;
  my ($address) = ask('IpamDriver.RequestAddress', qq({"PoolID":"$pool"})) =~ /"Address":"([0-9.]+)/ or die 'no address';
  ask('NetworkDriver.CreateEndpoint', qq({"NetworkID":"n","EndpointID":"$id","Interface":{"Address":"$address/12","MacAddress":""},"Options":{}}));
  ask('NetworkDriver.Join', qq({"NetworkID":"n","EndpointID":"$id","SandboxKey":"/nowhere/$id","Options":{}}));
  printf "%s/start %d\n", $who, $life;
  $life = 0;
  ask('NetworkDriver.Leave', qq({"NetworkID":"n","EndpointID":"$id"}));
  ask('NetworkDriver.DeleteEndpoint', qq({"NetworkID":"n","EndpointID":"$id"}));
  ask('IpamDriver.ReleaseAddress', qq({"PoolID":"$pool","Address":"$address"}));
  printf "%s/stop %d\n", $who, $life;
}
PERL

make_network
make_mesh_host host1
make_mesh_host host2
launch_peer host1 --no-dns --ipalloc-range 10.48.0.0/12
start host1 weave-plugin --docker-api= --state-file="$WORK/networks" --plugin-socket="$WORK/ours.weave" --plugin-mesh-socket="$WORK/ours" \
    2>"$WORK/plugin.log"
plugins+=($!)
ours=$!
contenders=("ours host1")
if [ -n "${REFERENCE:-}" ]; then
    reference_peer host2 --plugin --plugin-v2 --plugin-socket "$WORK/reference.weave" --plugin-mesh-socket "$WORK/reference"
    contenders+=("reference host2")
fi
for contender in "${contenders[@]}"; do eventually 10 test -S "$WORK/${contender% *}" || fail "no socket of ${contender% *}"; done

part=$(((runs + 9) / 10))
for ((run = 0; run < runs; run += part)); do
    for contender in "${contenders[@]}"; do
        on "${contender#* }" perl "$WORK/dockerd.pl" "$WORK/${contender% *}" "${contender% *}" $part $run >>"$WORK/times" || fail "see above"
    done
done

for what in RequestAddress CreateEndpoint Join start Leave DeleteEndpoint ReleaseAddress stop; do
    for contender in "${contenders[@]}"; do
        other=
        [ "${contender% *}" = reference ] || other=reference/$what
        report "${contender% *}/$what" "$other"
    done
done
echo "memory of weave-plugin: $(awk '$1 == "VmRSS:" {print $2}' "/proc/$ours/status") KiB"
pass
