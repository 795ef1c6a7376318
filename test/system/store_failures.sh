#!/bin/bash
# A disk that is full and a store that is damaged or in use: what is not recorded is not done, and the peer lives.
. "$(dirname "$0")/lib.sh"

more_clean_up() { umount "$WORK/disk" 2>/dev/null; }

make_host host1
make_container web
make_container db
mkdir "$WORK/disk"
mount -t tmpfs -o size=2m tmpfs "$WORK/disk"
store=$WORK/disk/weavedata.db
launch_there() { launch host1 --name ::1 --db-prefix "$WORK/disk/weave"; }
fill_disk() { head -c 16m /dev/zero >"$WORK/disk/filler" 2>/dev/null || true; }
is_about_space() { [[ $OUT == *"$store"* || $OUT == *"disk is full"* || $OUT == *"No space"* ]] || fail "not about the disk: $OUT"; }

step "launch on a full disk"
fill_disk
remember_state
refuses 1 "" on host1 weave launch --name ::1 --db-prefix "$WORK/disk/weave"
is_about_space
[ "$(ls "$WORK/disk")" = filler ] || fail "a launch that failed left $(ls "$WORK/disk")"
rm "$WORK/disk/filler"

step "attach and expose on a full disk"
launch_there
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
fill_disk
remember_state
for _ in 1 2 3; do
    refuses 1 "" on host1 weave attach 10.2.1.2/24 "$(path_of db)"
    is_about_space
    refuses 1 "" on host1 weave attach 10.2.1.3/24 "$(path_of web)"
    is_about_space
    refuses 1 "" on host1 weave expose 10.2.1.254/24
    is_about_space
    expect 0 "Service: router" on host1 weave status
done
[ "$(on host1 weave ps | wc -l)" = 1 ] || fail "weave ps: $(on host1 weave ps)"
[ -d "/proc/$(cat "$WORK/pid.host1")" ] || fail "the peer died of a full disk"
expect 0 "" on host1 curl -sf http://127.0.0.1:6782/metrics

step "the same commands once there is space"
rm "$WORK/disk/filler"
expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$(path_of db)"
expect 0 "10.2.1.3/24" on host1 weave attach 10.2.1.3/24 "$(path_of web)"
expect 0 "10.2.1.254/24" on host1 weave expose 10.2.1.254/24
expect_ping db 10.2.1.1
expect_ping db 10.2.1.3

step "stop and launch on a full disk: what was recorded holds"
fill_disk
expect 0 "" on host1 weave stop
rm "$WORK/disk/filler"
launch_there
expect 0 "10.2.1.1/24 10.2.1.3/24" on host1 weave ps "$(path_of web)"
expect 0 "10.2.1.2/24" on host1 weave ps "$(path_of db)"
expect 0 "10.2.1.254/24" on host1 weave ps

step "a second peer on the same store is told who has it"
pid=$(fuser_lock "$(run_dir host1)/weaver.lock")
mkdir "$WORK/second"
refuses_second() {
    expect 1 "$store" on host1 weaver --db-prefix "$WORK/disk/weave" --api-socket "$WORK/second/peer.sock" --name ::2
    [[ $OUT == *"$pid"* ]] || fail "the line does not name pid $pid: $OUT"
    [ "$(grep -vc '^INFO' <<<"$OUT")" = 1 ] || fail "more than a line: $OUT"
}
refuses_second
expect 1 "another peer is running" on host1 weaver --db-prefix "$WORK/other" --name ::2
[[ $OUT == *"$pid"* ]] || fail "the line does not name pid $pid: $OUT"
expect 0 "Service: router" on host1 weave status

step "a damaged store is set aside, and named"
expect 0 "" on host1 weave stop
printf 'damage' | dd of="$store" bs=1 seek=20 conv=notrunc status=none
dd if=/dev/urandom of="$store" bs=1 seek=4000 count=4000 conv=notrunc status=none
launch_there
aside=$(find "$WORK/disk" -name 'weavedata.db.damaged-*' ! -name '*-wal' | head -1)
[ -n "$aside" ] || fail "no file was set aside: $(ls "$WORK/disk")"
grep -qF "$aside" "$(log_of host1)" || fail "the log does not name $aside"
expect 0 "Service: router" on host1 weave status
# Containers keep what they have: attached again they are known again.
expect 0 "10.2.1.1/24" on host1 weave attach 10.2.1.1/24 "$(path_of web)"
expect 0 "10.2.1.2/24" on host1 weave attach 10.2.1.2/24 "$(path_of db)"
expect_ping db 10.2.1.1

step "a store that is no database at all"
expect 0 "" on host1 weave stop
rm -f "$WORK"/disk/weavedata.db*
echo "this is no database" >"$store"
launch_there
ls "$WORK"/disk/weavedata.db.damaged-* >/dev/null 2>&1 || fail "no file was set aside: $(ls "$WORK/disk")"
expect 0 "" on host1 weave reset
[ -z "$(ls "$WORK/disk")" ] || fail "files stay after reset: $(ls "$WORK/disk")"
pass
