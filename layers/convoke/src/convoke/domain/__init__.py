"""The resources and their rules. This package does no input and no output.

A rule about the members of a conversation together is in memberships.py. A rule about the binding of one participant is
in participants.py (create) or participant_requests.py (update). The table "Where a rule stands" in CONTRIBUTING.md
lists the modules whose names do not show their rules.
"""
