#!/usr/bin/perl
# Reads a page of the documentation as a reader does who types what it shows.
#
#   page.pl check PAGE...      every block is of a known kind; prints those that say why they are not run
#   page.pl needs PAGE         prints the hosts that its commands are typed on, and which of docker and podman they type there
#   page.pl type PAGE PROGRAM  types its commands, in order, by PROGRAM HOST COMMAND, and compares what is printed
#
# Kinds of blocks. Commands stand in ```console blocks behind a prompt, `host2# COMMAND` or `$ COMMAND` on the first host, and what
# they print below them.
# "```console not run: REASON" is for what would change the machine that tests run on, or needs what tests have not.
# ```text and the formats of files hold no commands. Whatever else looks like a block is refused.
#
# How output is compared. What is shown is all that is printed; a command that shows nothing must succeed, its output is
# nobody's business. `…` stands for anything within a line, a line of it alone for any number of lines, and runs of blanks for
# each other. MAC addresses, container ids, process ids, and addresses that peers gave out differ from run to run: they
# match by form, and what appears twice on a page must be the same twice; addresses, until somebody types `weave reset`. A later
# command that names one gets the real one. A command that only looks is repeated until it sees what is shown, for half a minute.
use strict;
use utf8;
use warnings;
use open qw(:std :encoding(UTF-8));

my $patience_seconds = 30;
my $prompt = qr/^(?:(host\d+)#|\$) (.*)$/;  # without a host: the first
my %formats = map { $_ => 1 } qw(text ini json yaml go-template promql);

# Commands that change nothing, and may be asked again.
my $looks = qr{^(?:weave\s(?:status|report|ps|dns-lookup|dns-args|version|prime)\b|ping\s|curl\s-\S+\shttp
  |ip\s(?:-\S+\s)*(?:addr|link|route)\b|(?:docker|podman)\s(?:ps|exec\s\S+\s(?:ping|nslookup|cat|ip|wget)|network\s(?:ls|inspect))\b
  |(?:ss|cat|tail|grep|ls|test)\s|iptables\s-S)}x;

# What differs from run to run, by kind. The range that peers share is 10.32.0.0/12 on every page; its own address is none of
# what they give out.
my $address = qr/(?<![\d.])(?!10\.32\.0\.0\/12)10\.(?:3[2-9]|4[0-7])\.\d{1,3}\.\d{1,3}(?![\d.])/;
my @kinds = (
  [mac => qr/(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])/],
  [id => qr/(?<![0-9a-z])(?:[0-9a-f]{64}|[0-9a-f]{12})(?![0-9a-z])/],
  [address => $address],
  [pid => qr/(?:^\d+$|(?<=\bpid )\d+|(?<=\bprocess )\d+)/],
);
# A port that the system chose: nothing names it again.
my $chosen_port = qr/(?<=\d:)\d{5}(?!\d)/;

sub slurp_lines {
  my ($path) = @_;
  open my $file, '<', $path or die "$path: $!\n";
  return map { s/\s+$//r } <$file>;
}

# The blocks of a page: {line, info, lines}, and complaints about what is none of a known kind.
sub blocks_of {
  my ($page) = @_;
  my (@blocks, @complaints, $block, $number);
  my $previous = '';
  for my $line (slurp_lines($page)) {
    ++$number;
    if ($line =~ /^\s*```(.*)$/) {
      my $info = $1;
      if (!$block) {
        $block = {line => $number, info => $info =~ s/^\s+//r, lines => []};
      } else {
        push @blocks, $block;
        undef $block;
      }
    } elsif ($block) {
      push @{$block->{lines}}, $line;
    } elsif ($line =~ /^(?: {4}|\t)\S/ && $previous eq '') {
      push @complaints, "$page:$number: an indented block: say what it is with ```console or ```text";
    }
    $previous = $line;
  }
  push @complaints, "$page:$block->{line}: a block without an end" if $block;
  return (\@blocks, \@complaints);
}

# What a block of the page is: 'typed', 'not run' with the reason, 'format', or a complaint.
sub kind_of {
  my ($block) = @_;
  my ($first) = @{$block->{lines}};
  if ($block->{info} eq 'console' || $block->{info} =~ /^console not run: (\S.*)$/) {
    my $reason = $1;
    return (complaint => 'commands stand behind a prompt, as "host1# weave status"') unless ($first // '') =~ $prompt;
    return defined $reason ? ('not run' => $reason) : ('typed');
  }
  return (complaint => "no kind of block: \"$block->{info}\": want console, \"console not run: REASON\", "
      . join(', ', sort keys %formats)) unless $formats{$block->{info}};
  return (complaint => 'a command in a block that nobody types') if grep { $_ =~ $prompt } @{$block->{lines}};
  return ('format');
}

sub check {
  my (@pages) = @_;
  my @complaints;
  for my $page (@pages) {
    my ($blocks, $found) = blocks_of($page);
    push @complaints, @$found;
    for my $block (@$blocks) {
      my ($kind, $detail) = kind_of($block);
      push @complaints, "$page:$block->{line}: $detail" if $kind eq 'complaint';
      print "$page:$block->{line}: not run: $detail\n" if $kind eq 'not run';
    }
  }
  print STDERR "$_\n" for @complaints;
  return @complaints ? 1 : 0;
}

# The commands of a page: {line, host, command, shown}. A backslash at the end of a line continues it.
sub commands_of {
  my ($page) = @_;
  my ($blocks) = blocks_of($page);
  my @commands;
  for my $block (grep { (kind_of($_))[0] eq 'typed' } @$blocks) {
    my ($number, $open) = ($block->{line}, 0);
    for my $line (@{$block->{lines}}) {
      ++$number;
      if (!$open && $line =~ $prompt) {
        push @commands, {line => $number, host => $1 // 'host1', command => $2, shown => []};
      } elsif ($open) {
        $commands[-1]{command} .= "\n$line";
      } else {
        push @{$commands[-1]{shown}}, $line;
      }
      $open = @{$commands[-1]{shown}} == 0 && $commands[-1]{command} =~ /\\$/ && $line =~ /\\$/;
    }
  }
  for my $command (@commands) {
    pop @{$command->{shown}} while @{$command->{shown}} && $command->{shown}[-1] eq '';
  }
  return @commands;
}

sub needs {
  my ($page) = @_;
  my %needs;
  for my $command (commands_of($page)) {
    $needs{$command->{host}} ||= {};
    $needs{$command->{host}}{$_} = 1 for $command->{command} =~ /\b(docker|podman) /g;
  }
  print join(' ', $_, sort keys %{$needs{$_}}), "\n" for sort keys %needs;
  return 0;
}

# A line that is shown as pieces: [text], [kind, what is shown], [any], [blank].
sub pieces {
  my ($line) = @_;
  my @pieces = ([text => $line]);
  my $split = sub {
    my ($kind, $pattern) = @_;
    @pieces = map {
      my $piece = $_;
      my @parts;
      if ($piece->[0] eq 'text') {
        my $rest = $piece->[1];
        my $end = 0;
        while ($rest =~ /$pattern/g) {
          push @parts, [text => substr($rest, $end, $-[0] - $end)], [$kind => substr($rest, $-[0], $+[0] - $-[0])];
          $end = $+[0];
        }
        push @parts, [text => substr($rest, $end)];
        @parts = grep { $_->[1] ne '' } @parts;
      } else {
        @parts = ($piece);
      }
      @parts;
    } @pieces;
  };
  $split->(any => qr/…/);
  $split->(@$_) for @kinds;
  $split->(port => $chosen_port);
  $split->(blank => qr/\s+/);
  return @pieces;
}

# Whether `printed` is what `shown` promises, given what is known already: then what is known with it, else undef.
sub match_line {
  my ($shown, $printed, $known) = @_;
  my (@captured, %place);
  my $pattern = '';
  for my $piece (pieces($shown)) {
    my ($kind, $text) = @$piece;
    if ($kind eq 'text') { $pattern .= quotemeta $text }
    elsif ($kind eq 'any') { $pattern .= '.*?' }
    elsif ($kind eq 'blank') { $pattern .= '\s+' }
    elsif ($kind eq 'port') { $pattern .= '\d+' }
    elsif (defined $known->{$text}) { $pattern .= quotemeta $known->{$text} }
    elsif (defined $place{$text}) { $pattern .= "\\g{$place{$text}}" }
    else {
      my ($form) = map { $_->[1] } grep { $_->[0] eq $kind } @kinds;
      push @captured, $text;
      $place{$text} = @captured;
      $pattern .= "($form)";
    }
  }
  my @found = $printed =~ /^$pattern$/ or return undef;
  my %with = %$known;
  my %taken = map { $_ => 1 } values %with;
  for my $i (0 .. $#captured) {
    return undef if $taken{$found[$i]}++;  # two things on the page, one in the world
    $with{$captured[$i]} = $found[$i];
  }
  return \%with;
}

sub match_lines {
  my ($shown, $printed, $known) = @_;
  return @$printed ? undef : $known unless @$shown;
  my ($first, @rest) = @$shown;
  if ($first =~ /^\s*…$/) {
    for my $skip (0 .. @$printed) {
      my $with = match_lines(\@rest, [@$printed[$skip .. $#$printed]], $known);
      return $with if $with;
    }
    return undef;
  }
  return undef unless @$printed;
  my $with = match_line($first, $printed->[0], $known) or return undef;
  return match_lines(\@rest, [@$printed[1 .. $#$printed]], $with);
}

# The command with the real ones of what the page calls otherwise; what it names first is called so everywhere.
sub in_reality {
  my ($command, $known) = @_;
  my $real = $command;
  for my $kind (grep { $_->[0] ne 'pid' } @kinds) {
    $real =~ s/($kind->[1])/$known->{$1} \/\/= $1/ge;
  }
  $real =~ s/(\d+)/$known->{$1} \/\/ $1/ge if $real =~ /^kill /;
  return $real;
}

sub called_otherwise {
  my ($known) = @_;
  my @names = map { "$_ is $known->{$_}" } grep { $_ ne $known->{$_} } sort keys %$known;
  return @names ? "on this page " . join(', ', @names) . "\n" : '';
}

sub type_page {
  my ($page, $program) = @_;
  my %known;
  my $count = 0;
  for my $command (commands_of($page)) {
    my $typed = in_reality($command->{command}, \%known);
    my @shown = @{$command->{shown}};
    my $deadline = time + $patience_seconds;
    print "$command->{host}# $typed\n";
    while (1) {
      open my $pipe, '-|', $program, $command->{host}, $typed or die "$program: $!\n";
      my @printed = map { s/\s+$//r } <$pipe>;
      close $pipe;
      my $status = $? >> 8;
      pop @printed while @printed && $printed[-1] eq '';
      my $with = @shown ? match_lines(\@shown, \@printed, \%known) : $status == 0 ? \%known : undef;
      if ($with) {
        %known = %$with;
        print map {"    $_\n"} @printed;
        delete @known{grep { $_ =~ /^$address$/ } keys %known} if $command->{command} =~ /^weave reset\b/;
        last;
      }
      if ($command->{command} =~ $looks && time < $deadline) {
        select undef, undef, undef, 0.3;
        next;
      }
      print STDERR "$page:$command->{line}: $command->{host}# $command->{command}\n",
        @shown ? ("the page shows:\n", map {"    $_\n"} @shown) : "the page expects it to succeed\n",
        "it printed, with exit status $status:\n", (map {"    $_\n"} @printed), called_otherwise(\%known);
      return 1;
    }
    ++$count;
  }
  print "$page: $count commands do what it says\n";
  return 0;
}

my ($action, @arguments) = @ARGV;
exit check(@arguments) if ($action // '') eq 'check' && @arguments;
exit needs(@arguments) if ($action // '') eq 'needs' && @arguments == 1;
exit type_page(@arguments) if ($action // '') eq 'type' && @arguments == 2;
print STDERR "usage: page.pl check PAGE... | needs PAGE | type PAGE PROGRAM\n";
exit 2;
