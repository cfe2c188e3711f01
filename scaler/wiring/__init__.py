"""
Which source, clock, server and page make a process: picked here and nowhere else.

Everything below takes what it needs as arguments, so that tests, the demo and ``kvtide serve`` put
the same parts together in different ways. One module per kind of process, so that each imports the
clients it uses and no others.
"""
