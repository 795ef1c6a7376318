#!/bin/bash
# The alert rules and the dashboard in deploy/monitoring name series, labels and values that a peer really has.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=mesh_lib.sh
. "$(dirname "$0")/mesh_lib.sh"

monitoring="$(dirname "$0")/../../deploy/monitoring"

# The names of series in a file of ours.
series_in() { grep -oE '\b(weave|process)_[a-z_]+\b' "$1" | LC_ALL=C sort -u; }

# Each name="value" in a file of ours; what stands for a variable of the dashboard or for no exact value is left out.
labels_in() { sed 's/\\"/"/g' "$1" | grep -oE '\b[a-z]+="[^"$]+"' | LC_ALL=C sort -u; }

make_network
for host in host1 host2; do make_mesh_host "$host"; done
launch_peer host1
launch_peer host2 "$(address_of host1)"
expect_mesh 30 host1 host2
expect 0 "" on host1 weave prime # who votes is told once there is a ring
metrics=$(on host1 curl -sf http://127.0.0.1:6782/metrics)

for file in alerts.yml dashboard.json; do
    step "$file names what a peer has"
    [ "$(series_in "$monitoring/$file" | wc -l)" -ge 15 ] || fail "no series found in $file"
    for name in $(series_in "$monitoring/$file"); do
        grep -qE "^${name}[{ ]" <<<"$metrics" || fail "$file: no peer has the series $name"
    done
    for label in $(labels_in "$monitoring/$file"); do
        grep -qF "$label" <<<"$metrics" || fail "$file: no series has $label"
    done
done
pass
