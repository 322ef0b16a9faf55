"""What the command line calls, one module a command, each imported by its own name.

`draw` needs a worker's packages only, the others those of the extra `data` too.
"""
