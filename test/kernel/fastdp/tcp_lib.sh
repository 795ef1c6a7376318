# shellcheck shell=bash
# A TCP transfer between two containers that runs for as long as the test wants. Sourced after lib.sh.

# tcp_begin FROM TO ADDRESS: of TO. Returns when something has arrived: what befalls a transfer befalls one that runs.
tcp_begin() {
    rm -f "$WORK"/tcp.*
    # shellcheck disable=SC2016
    (in_background "$2" perl -MIO::Socket::INET -e '$l = IO::Socket::INET->new(LocalPort => 5001, Listen => 1, ReuseAddr => 1)
        or die $!; open L, ">", "$ARGV[0]/tcp.listens"; close L; alarm 300; $c = $l->accept or die $!;
        while (my $n = sysread($c, $b, 65536) // die "receiving: $!") { $all or open A, ">", "$ARGV[0]/tcp.arrives"; $sum += unpack("%64C*", $b); $all += $n }
        print "$all $sum\n"' "$WORK" >"$WORK/tcp.received" 2>&1) &
    TCP_RECEIVER=$!
    eventually 10 test -e "$WORK/tcp.listens" || fail "$2 does not listen: $(cat "$WORK/tcp.received")"
    # shellcheck disable=SC2016
    (in_background "$1" perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => $ARGV[1], PeerPort => 5001) or die $!;
        alarm 300; for ($i = 0; !-e "$ARGV[0]/tcp.end" || $i < 100; ++$i) { my $b = pack("N*", $i .. $i + 4095);
        $sum += unpack("%64C*", $b); $all += length $b; for (my $at = 0; $at < length $b;)
        { $at += syswrite($s, $b, length($b) - $at, $at) // die "sending: $!" } } close $s or die $!;
        print "$all $sum\n"' "$WORK" "$3" >"$WORK/tcp.sent" 2>&1) &
    TCP_SENDER=$!
    eventually 20 test -e "$WORK/tcp.arrives" || fail "$1 sends nothing to $2: $(cat "$WORK/tcp.sent" "$WORK/tcp.received")"
}

# What was sent has arrived, all of it and nothing else.
tcp_end() {
    touch "$WORK/tcp.end"
    wait "$TCP_SENDER" || fail "the sender: $(cat "$WORK/tcp.sent")"
    wait "$TCP_RECEIVER" || fail "the receiver: $(cat "$WORK/tcp.received")"
    [ "$(cat "$WORK/tcp.sent")" = "$(cat "$WORK/tcp.received")" ] ||
        fail "sent (bytes, sum): $(cat "$WORK/tcp.sent"), received: $(cat "$WORK/tcp.received")"
}

# tcp_passes FROM TO ADDRESS: a little, whole
tcp_passes() {
    tcp_begin "$@"
    tcp_end
}
