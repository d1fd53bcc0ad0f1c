"""A spec before it is trained on: its rehearsal, findings about it, mistakes with their place.

`rehearsing` is `abi check`. `findings` and `prior_findings` are told by whatever simulates;
`pointing` gives mistakes that show only when a model runs their place in the spec.
"""
