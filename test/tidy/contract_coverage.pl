#!/usr/bin/perl
# Whether docs/contract-coverage.md can be true: prints `file:line: what is wrong: how to mend it`. Run in the repository's
# root. It reads the build's lists for names of tests, sources for the sentences of TEST_CASE, scripts for those of `step`.
use strict;
use warnings;

my $table = 'docs/contract-coverage.md';
my $differences = 'docs/differences.md';
my @states = qw(shown partly open differs);

sub slurp {
  my ($path) = @_;
  open my $file, '<', $path or return '';
  local $/;
  return <$file> // '';
}

# Name of a test as ctest knows it -> the files that may hold its sentences.
sub tests_of_build {
  my %tests;
  for my $list (glob 'test/*/CMakeLists.txt') {
    my ($folder) = $list =~ m{(.*)/};
    my $text = slurp($list);
    $text =~ s/#.*//g;
    # test/kernel: a script from anywhere, by the name of its file.
    while ($text =~ /\bset\s*\(\s*kernel_(?:\w+_)?scripts\s+([^)]*)\)/g) {
      for my $path (split ' ', $1) { $tests{"kernel_$1"} = [$path] if $path =~ m{([^/]+)\.sh$} }
    }
    while ($text =~ /\b(weave_test|weave_script_test|weave_fuzz|add_test)\s*\(\s*([^)]*)\)/g) {
      my ($kind, @words) = ($1, split ' ', $2);
      if ($kind eq 'weave_test') { $tests{$words[0]} = [map {"$folder/$_"} grep {/\.cc$/} @words] }
      elsif ($kind eq 'weave_script_test') {
        my $name = "$words[0]_$words[1]";
        # It types what the documents show.
        $tests{$name} = ["$folder/$words[1].sh", $name eq 'docs_blocks' ? ('README.md', glob 'docs/*.md') : ()];
      }
      elsif ($kind eq 'weave_fuzz') { $tests{"$words[0]_fuzz"} = [] }
      elsif ($words[0] eq 'NAME') { $tests{$words[1]} = [] }
    }
  }
  return %tests;
}

# Of a TEST_CASE the whole sentence, its literals joined as the compiler does; of a `step` what stands in its quotes; of a
# document its headings.
my %sentences_of;
sub sentences {
  my ($path) = @_;
  return $sentences_of{$path} //= do {
    my (@found, $text);
    $text = slurp($path);
    if ($path =~ /\.sh$/) { @found = $text =~ /^\s*step "(.*)"/mg }
    elsif ($path =~ /\.md$/) { @found = $text =~ /^#+ (.*)$/mg }
    else {
      while ($text =~ /\bTEST_CASE\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)/g) {
        my $sentence = join '', $1 =~ /"((?:[^"\\]|\\.)*)"/g;
        push @found, $sentence =~ s/\\(.)/$1/gr;
      }
    }
    \@found;
  };
}

sub says {
  my ($sentence, @files) = @_;
  for my $path (@files) {
    for my $found (@{sentences($path)}) {
      return 1 if $path =~ /\.sh$/ ? index($found, $sentence) >= 0 : $found eq $sentence;
    }
  }
  return 0;
}

my $complaints = 0;
sub complain {
  my ($line, $text) = @_;
  ++$complaints;
  print "$table:$line: $text\n";
}

# `name` "sentence", "sentence"; `name`: the number of tests named, or -1 after a complaint.
sub check_tests {
  my ($line, $cell, $tests) = @_;
  return 0 if $cell eq "\xe2\x80\x93";  # a dash: none
  if ($cell eq '') { complain($line, 'no test named: put a dash where there is none'); return -1 }
  my ($count, $name) = (0);
  pos($cell) = 0;
  while (pos($cell) < length $cell) {
    if ($cell =~ /\G`([^`]*)`\s*/gc) {
      ($name, $count) = ($1, $count + 1);
      next if $tests->{$name};
      complain($line, "no CMakeLists.txt of test/ has a test \"$name\": name it as ctest does");
      return -1;
    } elsif (defined $name && $cell =~ /\G"([^"]*)"\s*/gc) {
      next if says($1, @{$tests->{$name}});
      complain($line, "$name has no TEST_CASE or step \"$1\": quote one that it has");
      return -1;
    } elsif (!($cell =~ /\G[,;]\s*/gc)) {
      complain($line, 'want `test` "sentence", "sentence"; `test`, or a dash: "' . substr($cell, pos $cell, 20) . '"');
      return -1;
    }
  }
  return $count;
}

# The ids in a text; "A3-32a to A3-32o" are all between them.
sub ids_in {
  my ($text) = @_;
  my %ids;
  while ($text =~ /\b(A\d+-\d+)([a-z]?)\b(?: to \1([a-z])\b)?/g) { $ids{"$1$_"} = 1 for defined $3 ? $2 .. $3 : $2 }
  return %ids;
}

my %tests = tests_of_build();
my $differing = slurp($differences);
my $text = slurp($table);
exit 0 if $text eq '';
my %parts = map { s/\s+/ /gr => 0 } map { split /,\s+/ } $text =~ /^Parts to come: ([^.]*)\.$/m;

# A part that a row waits for is one of those to come, and its line has the row's id.
sub check_part {
  my ($line, $id, $part) = @_;
  if (!defined $parts{$part}) { complain($line, "\"$part\" is none of the parts to come that the head lists"); return 0 }
  my ($told) = $differing =~ /^(\| \Q$part\E \|.*)/m;
  if (!$told) { complain($line, "no line of $differences begins with | $part |: say why not there"); return 0 }
  my %waiting = ids_in($told);
  complain($line, "the line | $part | of $differences lacks $id: name what waits for it") unless $waiting{$id};
  return 1;
}

my (%line_of, %count, %told, $section, $last, $line);
my @key_of_last = (0, 0, '');
for (split /\n/, $text) {
  ++$line;
  $section = /^## A\.(\d+) / ? $1 : undef if /^#/;
  if (/^\| (\w+) \| (\d+) \|$/ && grep { $_ eq $1 } @states) { $told{$1} = [$2, $line] }
  next unless defined $section && /^\|/ && !/^\| id \|/ && !/^\|--/;

  my ($id, $what, $shown_by, $state, @more) = map { s/^\s+|\s+$//gr } split /\|/, s/^\|//r;
  if (@more || !defined $state) { complain($line, 'want four cells: id, what, shown by, state'); next }
  if ($id !~ /^A(\d+)-(\d+)([a-z]?)$/) { complain($line, "\"$id\" is no id of the contract, as in A3-01a"); next }
  my @key = ($1, $2, $3);
  if ($line_of{$id}) { complain($line, "$id has a row in line $line_of{$id}: one is enough"); next }
  $line_of{$id} = $line;
  if ($key[0] != $section) { complain($line, "$id stands under another section's heading"); next }
  my $order = $key[0] <=> $key_of_last[0] || $key[1] <=> $key_of_last[1] || $key[2] cmp $key_of_last[2];
  if ($order < 0) { complain($line, "$id stands behind $last: rows are in the order of their ids"); next }
  ($last, @key_of_last) = ($id, @key);

  my $test_count = check_tests($line, $shown_by, \%tests);
  my ($word, $rest) = $state =~ /^(\w+)(.*)$/ ? ($1, $2) : ($state, '');
  ++$count{$word};
  if ($word eq 'shown' && $rest eq '') {
    complain($line, "$id is shown by no test: name one, or say partly") if $test_count == 0;
  } elsif ($word eq 'differs' && $rest eq '') {
    complain($line, "$id differs and no line of $differences has it: say why there") unless $differing =~ /\b\Q$id\E\b/;
  } elsif ($word eq 'open' && $rest =~ /^ \((.+)\)$/ || $word eq 'partly' && $rest =~ /^ \((.+?)\): \S/) {
    for my $part (split /, /, $1) {
      ++$parts{$part} if check_part($line, $id, $part);
    }
  } else {
    complain($line, "state \"$state\": want shown, partly (PARTS): WHAT IS MISSING, open (PART) or differs");
  }
}
exit 0 if $complaints;  # what follows from them would only confuse

for my $part (grep { !$parts{$_} } sort keys %parts) {
  complain(1, "no row waits for the part \"$part\": take it off the parts to come");
}
for my $state (@states) {
  my $number = $count{$state} // 0;
  if (!$told{$state}) { complain($line, "no count of the rows that are $state: end with | $state | $number |") }
  elsif ($told{$state}[0] != $number) { complain($told{$state}[1], "$number rows are $state, not $told{$state}[0]") }
}
my $number = 0;
for (split /\n/, $differing) {
  ++$number;
  my %ids = ids_in($_);
  for my $id (sort keys %ids) {
    print "$differences:$number: $table has no row $id: an id of the contract is meant\n" unless $line_of{$id};
  }
}
