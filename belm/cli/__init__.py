"""The command line: one file per command, `app` at the end of the line.

Results go to stdout; progress, warnings and errors go to stderr, one line each. Exit codes: 0 done, 2 the call or its
input is wrong, 1 it failed while running or a check came out false, 130 after Ctrl-C, 143 after SIGTERM.
Commands import torch or SymPy when they run, so that `belm --help` needs neither.
"""
