# shellcheck shell=bash
# Rules about what our sources say: a function per rule, printing `file:line: what is wrong: how to mend it`.
# shellcheck disable=SC2016,SC2154  # programs of awk and perl in quotes; files is the driver's list

# The files whose path matches the extended regular expression $1 and not $2.
select_files() {
  printf '%s\n' "${files[@]}" | grep -E "$1" | { if [ -n "${2:-}" ]; then grep -vE "$2"; else cat; fi; }
}

# Prints `file:line: $3` for lines matching the Perl expression $2 in the files that come on standard input.
# A line comment is not code: it is cut off first when $1 is "code".
offences() {
  xargs -r -d '\n' perl -e '
    my ($kind, $pattern, $advice) = splice(@ARGV, 0, 3);
    while (<>) {
      my $line = $_;
      $line =~ s{(^|\s)//.*}{} if $kind eq "code";
      print "$ARGV:$.: $advice\n" if $line =~ /$pattern/;
    } continue { close ARGV if eof }' -- "$1" "$2" "$3"
}

sources='\.(cc|h)$'

# The rooms that promise no operating system, thread or clock: domain folders without their os/, and a program's main.
pure='^(base|wire|mesh|ipam|dns|overlay|fastdp|sleeve|doctor|sim|peer/core)/([^/]*/)*[^/]*\.(cc|h)$'
impure='^[^/]*/os/|^sim/main\.cc$'

rule_file_length() {
  select_files '\.(cc|h|proto|cmake|sh)$|CMakeLists\.txt$|^scripts/|^test/(tidy|package)/' | xargs -r -d '\n' awk '
    FNR == 601 { print FILENAME ":601: over 600 lines: a file holds one idea; give the second its own file" }'
}

# Libraries of pure functions: that of JSON, and in the rooms that compute with it libsodium. Its crypto_ headers are pure; <sodium.h> brings the generator of random bytes.
sodium_rooms='^(wire|sleeve|fastdp)/'

rule_pure_includes() {
  local refused='<(?!nlohmann/json\.hpp>)(?:[^>]*[./][^>]*|thread|mutex|shared_mutex|condition_variable|semaphore|latch|barrier|stop_token|chrono|future|atomic|ctime|random|fstream|filesystem|csignal|csetjmp)>|"(?!(?:absl|base|wire|mesh|ipam|dns|overlay|fastdp|sleeve|doctor|sim|peer/core)/)|"[^"]*/os/|"absl/(?:time/clock|synchronization/|random/|flags/)'
  local advice='a pure room may not include this: pass in what it gives as a value or an event'
  select_files "$pure" "$impure|$sodium_rooms" | offences code "^\s*#\s*include\s*(?:$refused)" "$advice"
  select_files "$pure" "$impure" | grep -E "$sodium_rooms" |
    offences code "^\s*#\s*include\s*(?!<sodium/crypto_\w+\.h>)(?:$refused)" "$advice"
}

rule_pure_hashing() {
  select_files "$pure" "$impure" | offences code \
    '\babsl::(flat|node)_hash_|\bstd::(unordered_|hash\b)|absl/container/(flat|node)_hash_|<unordered_' \
    'the order of a hash container differs from run to run: use absl::btree_map or a sorted vector'
}

rule_pure_calls() {
  select_files "$pure" "$impure" | offences code \
    '\babsl::(Now|SleepFor)\b|\bstd::(rand|srand|time|getenv|system)\b|_clock::now\(\)|\b(getenv|gettimeofday|clock_gettime|getpid)\(|\bthread_local\b|\bcrypto_\w+_(keypair|keygen)\(' \
    'a pure room has no clock, environment, process or random bytes: take the value as an argument'
}

rule_string_view() {
  select_files "$sources" | offences code '\bstd::string_view\b|<string_view>' \
    'Debian'\''s abseil has its own string_view and the two do not convert: write absl::string_view'
}

rule_abseil_log() {
  select_files "$sources" | offences code 'absl/log/' 'abseil 20220623 has no log: use base/log.h and base/check.h'
}

rule_namespace_linux() {
  select_files "$sources" | offences code '\bnamespace\s+(\w+::)*linux\b' \
    '"linux" is a macro in GNU mode: choose another name'
}

rule_unfinished() {
  select_files '.' '^test/tidy/' | offences text '\b(TO''DO|FIX''ME|X''XX|HA''CK)\b' \
    'finish it, or open an issue and say here what holds today'
}

rule_machine_paths() {
  select_files '.' '^test/tidy/' | offences text '(^|[^\w.\$}/])/(work|home|Users)/' \
    'a path of one machine: make it relative to the repository'
}

rule_header_opening() {
  select_files '\.h$' | xargs -r -d '\n' awk '
    function flush() { if (name != "" && !once) print name ":1: no #pragma once: add it under the opening comment" }
    FNR == 1 { flush(); name = FILENAME; once = 0
               if ($0 !~ /^\/\/ [^ ]/) print FILENAME ":1: a header opens with a comment: what it gives and where it sits" }
    /^#pragma once$/ { once = 1 }
    END { flush() }'
}

rule_using_namespace() {
  select_files '\.h$' | offences code '\busing\s+namespace\b' 'a header gives its names to every reader: name them one by one'
}

rule_direct_output() {
  select_files "$sources" '^(cli|test|bench)/|/main\.cc$' | offences code '\bstd::cout\b|\bprintf\s*\(|\bputs\s*\(' \
    'a library does not print: return the text, or write to the Logger it was given'
}

# Own header, then standard and system, then libraries, then ours. Headers in <> of libraries may mix with the standard's.
rule_include_order() {
  select_files "$sources" | xargs -r -d '\n' perl -ne '
    if ($. == 1) { ($rank, $first) = (0, 1) }
    if (/^\s*#\s*include\s*([<"])([^>"]+)[>"]/) {
      my ($bracket, $path) = ($1, $2);
      (my $own = $ARGV) =~ s/(_test|_fuzz)?\.(cc|h)$/.h/;
      $own =~ s{^test/}{} unless -e $own;
      my $mine = $first && $bracket eq "\"" && $path eq $own ? 0
        : $bracket eq "<" ? ($path =~ m{[./]} ? 1.5 : 1)
        : $path =~ m{^(absl|google|grpcpp|boost)/} ? 2 : 3;
      $first = 0;
      if ($path eq $own && $mine != 0 && $ARGV !~ /^test/) {
        print "$ARGV:$.: a source includes its own header first, so that the header stands alone\n";
      } elsif ($mine < $rank && !($mine == 1 && $rank == 1.5)) {
        print "$ARGV:$.: include order: own header, standard, libraries, ours\n";
      }
      $rank = $mine if $mine > $rank;
    }
    close ARGV if eof;'
}

rule_format() {
  local tool
  tool=$(command -v clang-format-14) || {
    echo "scripts/packages:1: clang-format-14 is missing: run scripts/install-packages build"
    return
  }
  select_files "$sources" | xargs -r -d '\n' "$tool" --dry-run -Werror 2>&1 |
    sed -nE "s/^([^: ]+:[0-9]+):[0-9]+: error: .*/\1: not in the house format: clang-format-14 -i this file/p" | sort -u -t: -k1,1
}
