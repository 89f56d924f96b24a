"""The two pieces of work that TK-Loss consists of, written for the machine that does them.

:mod:`nearest` finds the K nearest candidates of every cell: `nearest_plain` says how, on any
device; `nearest_cpu` and `nearest_triton` give the same answer sooner. `agreement_triton` sums
the consistency term of :mod:`maskfree.losses.agreement` and its gradient on a GPU.
"""
