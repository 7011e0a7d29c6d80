"""The resources of the API and their rules. This package does no I/O.

Rules that involve several members of a conversation are in memberships.py. Rules about the binding of one participant
are in participants.py (create) and participant_requests.py (update). The table "Where a rule stands" in CONTRIBUTING.md
lists the modules whose names do not show which rules they contain.
"""
