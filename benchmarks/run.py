"""All benchmarks, by one command: ours and the peers that are installed, in interleaved rounds of one run.

    python benchmarks/run.py [GROUP ...] [--rounds 5] [--seconds 2] [--write docs/performance.md] [--smoke]

Needs the extra `bench` and, for what is measured over HTTP, wrk (Debian: apt-get install wrk); Caddy and nginx are
measured where they are installed. Each figure is the median of the rounds, with the lowest and the highest in brackets,
then how many times as good as it ours is. Compare figures of one run only, on a machine that does nothing else; a
missed target is said, and nothing fails by it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import (
    depot_directory,
    in_process,
    large,
    lookups,
    over_http,
    parts,
    redirects,
    report,
    servers,
    signing,
    starting,
)
from benchmarks.setting import Options, apart, make_media, without_settings
from benchmarks.targets import TARGETS

GROUPS = {
    "in-process": in_process,
    "http": over_http,
    "large": large,
    "signing": signing,
    "redirect": redirects,
    "lookups": lookups,
    "start": starting,
    "depot": depot_directory,
    "parts": parts,
    "servers": servers,
}


def main(words: list[str] | None = None) -> None:
    """Measure and print each group; ``--write`` puts it between its markers too."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; default: all")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="of each figure over HTTP")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="replace what the page has of these groups")
    parser.add_argument("--smoke", action="store_true", help="see that all of it runs; the figures mean nothing")
    args = parser.parse_args(words)
    if unknown := [group for group in args.groups if group not in GROUPS]:
        parser.error(f"no such group: {', '.join(unknown)} (there are {', '.join(GROUPS)})")
    options = Options(1, 0.001, smoke=True) if args.smoke else Options(args.rounds, args.seconds)
    environ = without_settings(dict(os.environ))
    os.environ.clear()
    os.environ.update(environ)
    logging.disable(logging.WARNING)  # what a peer or moto says of itself would stand amid the tables
    for group in args.groups or GROUPS:
        text = measured(group, options)
        print(f"\n## {group}\n\n{text}", flush=True)
        if args.write is not None:
            report.write_group(args.write, group, text)


def measured(group: str, options: Options) -> str:
    """Return the Markdown of a group: the command, the machine, the tables."""
    command = f"python benchmarks/run.py {group} --rounds {options.rounds} --seconds {options.seconds:g}"
    machine = report.machine()
    # Where a bucket's process or a server may need the folder later than its owner: it is the group's.
    with tempfile.TemporaryDirectory(prefix="mediamw-bench-") as folder, apart():
        tables = GROUPS[group].run(make_media(Path(folder), smoke=options.smoke), options)
    targets = [] if options.smoke else [target for target in TARGETS if target.group == group]
    return f"`{command}`: {machine}.\n\n{report.group_markdown(tables, targets)}"


if __name__ == "__main__":
    main()
