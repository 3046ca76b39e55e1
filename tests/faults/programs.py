"""What the jobs of the workload run: shell scripts that keep their own books in the job folder.

A program notes each of its starts in `starts-<rank>.txt` with a name that the kernel made up for it, numbers every line
of both streams, and notes the last number in `ends-<rank>.txt` before it ends, also when it is asked to end. A later
life of the same job numbers on. What the shell itself says of its children is not wanted. The gate of a job is a file
in its folder: it runs until that is there.
"""

from __future__ import annotations

GATE = "gate"

_BOOKS = """
starts=starts-$UCLOUD_RANK.txt ends=ends-$UCLOUD_RANK.txt n=0
echo "start $(cat /proc/sys/kernel/random/uuid)" >> $starts
[ -e $ends ] && n=$(tail -n 1 $ends | cut -d ' ' -f 2)
exec 3>&2 2>/dev/null
tell() { busy=1; n=$((n+1)); echo "out $n"; echo "err $n" >&3; busy=; [ -z "$asked" ] || leave "exit 0"; }
leave() { asked=; trap '' TERM; tell; echo "end $n" >> $ends; trap - TERM; eval "$1"; }
trap 'asked=1; [ -n "$busy" ] || leave "exit 0"' TERM  # never between the two streams
tell
"""


def ends(how: str) -> str:
    """At once; `how` is the shell's own word for it: `exit 3`, `kill -9 $$`."""
    return f"{_BOOKS}leave '{how}'\n"


def takes(steps: int, how: str) -> str:
    """After so many quarters of a second."""
    return f"{_BOOKS}for step in $(seq {steps}); do tell; sleep 0.25; done; leave '{how}'\n"


def gated(how: str) -> str:
    """When its gate is open."""
    return f"{_BOOKS}while [ ! -e {GATE} ]; do tell; sleep 0.25; done; leave '{how}'\n"


def loud(how: str) -> str:
    """The same, with hundreds of lines a second on either stream."""
    write = "for line in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do tell; done"
    return f"{_BOOKS}while [ ! -e {GATE} ]; do {write}; sleep 0.05; done; leave '{how}'\n"


def greedy(how: str) -> str:
    """Like a gated one; it also writes a file that grows by 64 KiB at each step, and notes when that fails."""
    write = "head -c 65536 /dev/zero >> grows || : > failed"
    return f"{_BOOKS}while [ ! -e {GATE} ]; do tell; {write}; sleep 0.25; done; leave '{how}'\n"


def second_life_stays(how: str) -> str:
    """The first one ends at once, every later one runs until it is stopped."""
    return f"{_BOOKS}[ $(wc -l < $starts) = 1 ] && leave '{how}'; while :; do tell; sleep 0.25; done\n"
