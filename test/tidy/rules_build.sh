# shellcheck shell=bash
# Rules about what surrounds the sources: the build's lists, scripts, documents.
# shellcheck disable=SC2154  # files: the driver's list

# A test nobody builds proves nothing.
rule_tests_listed() {
  local file directory name pattern listed
  while read -r file; do
    directory=$(dirname "$file")
    while [ "$directory" != . ] && [ ! -f "$directory/CMakeLists.txt" ]; do directory=$(dirname "$directory"); done
    listed=$(grep -sF "${file#"$directory"/}" "$directory/CMakeLists.txt")
    for pattern in $(set -f; grep -soE '[^ ()"]*\*[^ ()"]*' "$directory/CMakeLists.txt"); do
      # shellcheck disable=SC2053  # a file(GLOB) lists by pattern
      [[ "${file#"$directory"/}" != $pattern ]] || listed=yes
    done
    if [ -z "$listed" ]; then
      echo "$file:1: no CMakeLists.txt above it names this test: add it to ${directory}/CMakeLists.txt"
    fi
  done < <(select_files '_test\.cc$')
  # A fuzz target is called NAME_fuzz.cc, and listed as NAME with a corpus of that name.
  while read -r file; do
    directory=$(dirname "$file")
    name=$(basename "$file" _fuzz.cc)
    grep -qsE "weave_fuzz\($name\b" "$directory/CMakeLists.txt" ||
      echo "$file:1: not built: add weave_fuzz($name ...) to $directory/CMakeLists.txt"
    [ -d "$directory/corpus/$name" ] || echo "$file:1: no corpus: give it inputs in $directory/corpus/$name"
  done < <(select_files '_fuzz\.cc$')
}

# Every folder of tests is entered by the build.
rule_test_folders() {
  local file folder
  while read -r file; do
    folder=$(dirname "${file#test/}")
    [ "$folder" != . ] || continue
    if ! grep -qwF -- "${folder%%/*}" test/CMakeLists.txt; then
      echo "$file:1: test/CMakeLists.txt does not enter this folder: add it to the list of folders there"
    fi
  done < <(select_files '^test/.*CMakeLists\.txt$')
}

shell_files() {
  local file first
  while read -r file; do
    IFS= read -r first <"$file" 2>/dev/null || true
    if [[ "$first" =~ ^\#!.*[/\ ](ba)?sh($|[[:space:]]) || "$first" =~ ^\#\ shellcheck\ shell= ]]; then echo "$file"; fi
  done < <(select_files '(^|/)[^./]*$|\.(sh|bash)$|^deploy/|^\.ci/' '\.(md|txt|json|service)$')
}

rule_shell_syntax() {
  local file
  while read -r file; do
    bash -n "$file" 2>&1 | sed -nE "s|^.*: line ([0-9]+): (.*)|$file:\1: does not parse: \2|p"
  done < <(shell_files)
}

# SC2015 dislikes `test && this || that` also where that is meant.
rule_shellcheck() {
  command -v shellcheck >/dev/null || {
    echo "scripts/packages:1: shellcheck is missing: run scripts/install-packages test"
    return
  }
  shell_files | xargs -r -d '\n' shellcheck -x -P SCRIPTDIR -e SC2015,SC2016 -f gcc 2>&1 | sed -E 's/^([^:]+:[0-9]+):[0-9]+: /\1: /'
}

# A link to a file of the repository leads somewhere.
rule_markdown_links() {
  local file line target path
  while IFS= read -r file; do
    while IFS=: read -r line target; do
      case "$target" in '' | \#* | *://* | mailto:*) continue ;; esac
      path=${target%%#*}
      case "$path" in /*) path=".$path" ;; *) path="$(dirname "$file")/$path" ;; esac
      [ -e "$path" ] || echo "$file:$line: the link \"$target\" leads nowhere: name a file of the repository"
    done < <(perl -ne 'while (/\]\(([^)\s]+)[^)]*\)/g) { print "$.:$1\n" unless $fence } $fence = !$fence if /^\s*```/' "$file")
  done < <(select_files '\.md$')
}

# What docs/contract-coverage.md says of tests is what tests there are.
rule_contract_coverage() {
  # shellcheck disable=SC2154  # here: the driver's directory
  perl "$here/contract_coverage.pl"
}
