"""One module per implementation; ``CASES`` maps a case to a function that prepares it.

A prepared case is ``(run, units)``: ``run()`` does ``units`` units of work and returns either
None or a number that summarises the result, so that sides which compute the same can be
compared.  A module imports its library at the top: a worker imports one side only.
"""
