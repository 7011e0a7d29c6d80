"""The resources of the API and their rules. This package does no I/O.

Rules that involve several members of a conversation are in memberships.py. Rules about the binding of one participant
are in participants.py (create) and participant_requests.py (update). To find another rule, see the table "Where a rule
stands" in CONTRIBUTING.md.
"""
