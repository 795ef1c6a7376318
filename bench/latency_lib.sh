# shellcheck shell=bash
# What benchmarks say of how long single calls take: lines "LABEL MICROSECONDS" in $WORK/times.

percentile() { # percentile LABEL PERCENT: milliseconds
    awk -v label="$1" '$1 == label {print $2}' "$WORK/times" | sort -n |
        awk -v p="$2" '{v[NR] = $1} END {i = int((NR - 1) * p / 100 + 0.5) + 1; printf "%.2f", v[i] / 1000}'
}
report() { # report LABEL [REFERENCE]: a line, with the ratio to the other label where that was measured
    printf '%-26s p50 %7s ms   p99 %7s ms' "$1" "$(percentile "$1" 50)" "$(percentile "$1" 99)"
    if [ -n "${2:-}" ] && grep -q "^$2 " "$WORK/times"; then
        awk -v a="$(percentile "$1" 50)" -v b="$(percentile "$2" 50)" 'BEGIN {printf "   %.2f of the reference", a / b}'
    fi
    echo
}
