"""Keep a valid case of each reader in the corpus: ``python tests/fuzz/keep_seeds.py [READER …]``.

Those that are there stay: what an earlier version wrote must be read for ever.
"""

from __future__ import annotations

import sys

from cases import CORPUS, VALID, keep, kept
from readers import READERS
from seeds import make

for reader in sys.argv[1:] or READERS:
    if not any(name.startswith(VALID) for name in kept(reader)):
        keep(make(reader), CORPUS / reader / VALID)
