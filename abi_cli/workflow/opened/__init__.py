"""The tools of an opened run, for `session` and for the commands about real data.

`opening` gives its spec and networks, `reading` the data sets, `refusing` those that networks can't
take, `guarded` the comparison with the simulations, `drawing` and `refining` draws, `selecting`
quantities.
"""
