"""AI scoring with the user's own key. The provider is a stand-in and never leaves the process."""

import zlib

from stockmind.auth import KeySeal
from stockmind.database import Database
from stockmind.metrics import Metrics

NEWEST_KEY = """
    SELECT provider, encrypted_key FROM api_keys
     WHERE user_id = %s ORDER BY created_at DESC, id DESC LIMIT 1
"""


class Scorer:
    """Scores a caption from 0 to 100; None without a key or when the key cannot be opened."""

    def __init__(self, database: Database, seal: KeySeal, metrics: Metrics) -> None:
        self._database = database
        self._seal = seal
        self._metrics = metrics

    async def score(self, user_id: int, caption: str) -> int | None:
        row = await self._database.row(NEWEST_KEY, (user_id,))
        if row is None:
            return None
        if self._seal.unseal(row["encrypted_key"]) is None:
            self._metrics.observe_ai(row["provider"], "error")
            return None
        self._metrics.observe_ai(row["provider"], "ok")
        return zlib.crc32(caption.encode()) % 101
