"""The parts of a simulated shop; `ppi_ml.simulate` is the door to them.

`shop` holds the settings, `clock` time and random numbers, `catalogue` the products with their
spells, `households` who consumes what, `appetite` how much of it each day, `buying` when it is
bought, and `tables` what of all that the shop writes down, and what it never gets to know.
"""
