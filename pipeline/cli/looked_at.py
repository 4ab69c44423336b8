"""Whose data a command looks at, by their own id: for the event of the look, so that rules see who looks at themselves.

Place in the flow: between `TokenMaker`, which reads what was typed, and `looking.py`. A token copied from a page names
somebody as well as an id does, where the directory lists them.
"""

from __future__ import annotations

from pipeline.adapters.identities import DirectoryIdentities
from pipeline.audit.identifiers import Named
from pipeline.config import Settings
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.keys import Keyring


def subject_ids(settings: Settings, keyring: Keyring, tenant: str, named: Named) -> tuple[str, ...]:
    """The data subject's own id, as typed or as the directory lists it; () where nobody here knows it.

    Raises: DirectoryError: the directory cannot be read.
    """
    # Looks are events of the default tenant: another tenant's id would become somebody else's token there.
    if tenant != DEFAULT_TENANT:
        return ()
    if named.identifier:
        return (named.identifier,)
    listed = DirectoryIdentities(settings.detection.directory, keyring, tenant)
    return tuple(known for token in named.tokens if (known := listed.of("subject", token)))
