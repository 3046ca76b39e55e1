"""Measures ucloud-ray against what it is compared with, side by side on this machine: `python -m benchmarks --help`.

    __main__   commands                    scenarios/  what is measured, one file each
    stack      a private `ucloud-ray up`   peers/      what it is measured against, one file each
    measure    rounds, medians, ratios     results     raw figures as JSON
    processes  CPU and memory by part      report      docs/benchmarks.md

No test asserts on a time; what depends on the machine is kept as a ratio of two figures of one run.
"""
