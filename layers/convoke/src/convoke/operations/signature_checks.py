"""Check whether a signature matches a webhook request. If not, find the mistakes that explain the difference."""

from __future__ import annotations

from convoke.domain.signature_checks import NewSignatureCheck, SignatureCheck
from convoke.lean_dataclass import lean_dataclass
from convoke.operations.accounts import AccountOperations


@lean_dataclass
class SignatureCheckOperations:
    accounts: AccountOperations

    def create(self, account_sid: str, requested: NewSignatureCheck) -> SignatureCheck:
        # Import the module here, because only this operation needs it.
        from convoke.webhooks.signature_mistakes import find_mistakes  # noqa: PLC0415 - see above

        token = self.accounts.token(account_sid)
        return SignatureCheck(find_mistakes(requested.url, requested.body, token, requested.signature))
