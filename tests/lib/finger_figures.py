"""Compares figures of `goodwatt finger bench --json` on standard input with what has to be reached.

Usage: finger_figures.py [SHARE_OF_SESSIONS SHARE_AT_K8]
Without shares only what holds for every set is asked for: nobody else gets in, and time and memory.
"""

import json
import sys

MS_MAX = 400
KIB_MAX = 32 * 1024
# Somebody else's mean chance to open within the budget of guesses.
CHANCE_MAX = 1e-3


def main(shares):
    session, single = map(float, shares) if shares else (0, 0)
    figures = [json.loads(line) for line in sys.stdin]
    wrong = []
    for f in figures:
        name = f"{f['set']}, k = {f['k']}"
        checks = [
            (f["false_accepts"] == 0, f"{f['false_accepts']} of {f['impostor_trials']} others got in"),
            (f["mean_opening_probability"] < CHANCE_MAX, f"others have a chance of {f['mean_opening_probability']}"),
            (f["ms_median"] <= MS_MAX, f"{f['ms_median']} ms from image to secret"),
            (f["peak_kib"] <= KIB_MAX, f"{f['peak_kib']} KiB to read an image"),
            (f["k"] != "policy" or f["session_accept_rate"] >= session, f"{f['session_accept_rate']} of sessions"),
            (f["k"] != "8" or f["genuine_accept_rate"] >= single, f"{f['genuine_accept_rate']} of placements"),
        ]
        wrong += [f"{name}: {what}" for holds, what in checks if not holds]
    if [f["k"] for f in figures] != ["8", "10", "policy"]:
        wrong.append(f"{len(figures)} lines of figures")
    if wrong:
        sys.exit("\n".join(wrong))
    f = figures[2]
    print(
        f"note: {f['set']}: owner {100 * f['session_accept_rate']:.0f} % in three, "
        f"others {f['false_accepts']} of {f['impostor_trials']}, {f['ms_median']:.0f} ms"
    )


main(sys.argv[1:])
