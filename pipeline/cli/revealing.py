"""What commands and the console need to say who is behind a token: the vault if there is one, and the directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.adapters.reader_pool import ReaderPool
from pipeline.adapters.vault_reading import VaultReader
from pipeline.config import VAULT, Settings
from pipeline.events import DEFAULT_TENANT
from pipeline.privacy.envelope import Envelope
from pipeline.privacy.keys import Keyring

_MOST_CONNECTIONS = 2


@contextmanager
def reading_vault(settings: Settings, tenant: str = DEFAULT_TENANT) -> Iterator[VaultReader | None]:
    """The vault to read from, None where the deployment has none; connects at the first question.

    Raises: ConfigError: its keys cannot be read.
    """
    if settings.protection.vault_keys_file is None:
        yield None
        return
    envelope = Envelope(Keyring.load(settings.protection.vault_keys_file))
    pool = ReaderPool(settings.clickhouse, VAULT, most=_MOST_CONNECTIONS)
    try:
        yield VaultReader(pool, envelope, tenant)
    finally:
        pool.close()
