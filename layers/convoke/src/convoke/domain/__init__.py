"""The resources of the API and their rules. This package does no I/O.

To find a rule, see the table "Where a rule stands" in CONTRIBUTING.md.
"""
