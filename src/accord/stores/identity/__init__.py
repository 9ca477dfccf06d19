"""Who may do what in the labelling app: a database of its own, apart from what people said (layer 3).

- ``accounts.py``: names, roles, pseudonyms. Only a pseudonym ever goes over to the labelling database.
- ``entering.py``: one-time links, passphrases (Argon2id), sessions. ``tokens.py``: API tokens of machines.
- ``attempts.py``: limits, counted over every process. ``consents.py``: consent, and optional groups.
- ``identity.py``: all of them over one database. ``migrations/``: its tables, step by step.

Of every code, session and token only a SHA-256 is kept, so that a copy of the database opens nothing.
Not here: what a role may do (``accord.web.policy``). ``tokens.py`` is the example to follow.
"""

from __future__ import annotations

from accord.stores.identity.accounts import ROLES, Account, Accounts, Role
from accord.stores.identity.attempts import Attempts
from accord.stores.identity.consents import Consents
from accord.stores.identity.entering import Links, Offer, Passphrases, Sessions, Since
from accord.stores.identity.identity import Identity
from accord.stores.identity.tokens import SCOPES, Token, Tokens

__all__ = [
    "ROLES",
    "SCOPES",
    "Account",
    "Accounts",
    "Attempts",
    "Consents",
    "Identity",
    "Links",
    "Offer",
    "Passphrases",
    "Role",
    "Sessions",
    "Since",
    "Token",
    "Tokens",
]
