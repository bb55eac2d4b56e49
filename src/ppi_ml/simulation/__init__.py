"""The parts of simulated shops; `ppi_ml.simulate` is the door to them.

`clock` holds time, `catalogue` the products with their spells.

Households: `shop` holds the settings, `households` who consumes what, `appetite` how much of it
each day, `buying` when it is bought, `devices` what is read of it, and `tables` what of all that
the shop writes down, and what it never gets to know.

A brand with every type of event: `brand` holds the dials, `luck` what chance decides, `people`,
`assortment`, `lanes` and `calendar` who orders what, how it travels and what a day is like,
`nudges` what reaches customers, `fates` what becomes of an order, and `walk` when the next one
comes. `story` is all of it for a block of customers; `parcels`, `voices` (with `phrases`) and
`contacts` write its tables, `truths` its truth, `history` puts them together, `folder` on disk.
"""
