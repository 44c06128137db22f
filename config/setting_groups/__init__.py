"""The settings themselves, one table a field of work; ``config.settings`` puts them together.

A line declares: form (kind, unit, range), default, help, and what "off" means to the operator.
Numbers are int or Decimal, shares of something are fractions (0.02 is 2 %), times are
``datetime.time``, lists are tuples.
"""
