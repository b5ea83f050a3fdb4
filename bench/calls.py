"""What a call costs: HPy's universal ABI against CPython's own API.

The variants take turns, round by round, so that what else the machine does hits all of them. Printed are nanoseconds per call,
net of an empty loop, and the ratios of medians and of minima.
"""

import argparse
import platform
import time
from statistics import median

import calls_capi
import calls_hpy

CALLS = 20_000

CASES = [
    ("noargs", "f()", ()),
    ("onearg", "f(a)", (1.5,)),
    ("varargs", "f(a, b, c)", (1, 2, 3)),
    ("add", "f(a), which adds", (1.5,)),
    ("total", "f(list), 100 items", (list(range(100)),)),
]

LOOP = """
def loop(f, args):
    {unpack}
    start = clock()
    for _ in range({calls}):
        {statement}
    return clock() - start
"""


def make_loop(statement, names, calls):
    scope = {"clock": time.perf_counter_ns}
    unpack = f"{', '.join(names)}, = args" if names else "pass"
    exec(LOOP.format(unpack=unpack, calls=calls, statement=statement), scope)
    return scope["loop"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each variant (default: 40)")
    rounds = parser.parse_args().rounds
    print(f"{platform.python_implementation()} {platform.python_version()}, {rounds} rounds of {CALLS} calls\n")
    print(f"{'':<22}{'C API':>10}{'universal':>12}{'ratio of medians':>19}{'of minima':>12}")
    for name, label, args in CASES:
        names = ["a", "b", "c"][: len(args)]
        calls = CALLS // 50 if name == "total" else CALLS
        call = make_loop(f"f({', '.join(names)})", names, calls)
        empty = make_loop("pass", names, calls)
        functions = {"capi": getattr(calls_capi, name), "hpy": getattr(calls_hpy, name)}
        times = {"capi": [], "hpy": []}
        for function in functions.values():
            call(function, args)
        for _ in range(rounds):
            overhead = empty(None, args)
            for variant, function in functions.items():
                times[variant].append((call(function, args) - overhead) / calls)
        capi, hpy = times["capi"], times["hpy"]
        print(
            f"{label:<22}{median(capi):>7.1f} ns{median(hpy):>9.1f} ns"
            f"{median(hpy) / median(capi):>19.2f}{min(hpy) / min(capi):>12.2f}"
        )


if __name__ == "__main__":
    main()
