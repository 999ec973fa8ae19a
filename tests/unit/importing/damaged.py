"""Reads damaged copies of good files: `python -m tests.unit.importing.damaged FOLDER LIMITS ROUNDS`.

Prints what came of it that is neither a result nor a refusal, as `[[file, damage, traceback]]`.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from pathlib import Path

from core.keras_worker.errors import Refused
from core.keras_worker.read_model import read_model_file
from tests.unit.importing.corpus import READ


def damaged(content: bytes, chance: random.Random) -> tuple[str, bytes]:
    """The content with a few bytes changed, mostly in places that say something, or cut off."""
    if chance.random() < 0.2:
        end = chance.randrange(len(content))
        return f"cut at {end}", content[:end]
    changed = bytearray(content)
    places = [chance.randrange(len(content)) for _ in range(chance.choice([1, 1, 2, 8]))]
    for place in places:
        changed[place] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, changed[place] ^ (1 << chance.randrange(8))])
    return f"changed at {places}", bytes(changed)


def main() -> None:
    folder, limits, rounds = Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3])
    chance = random.Random(5)
    wrong: list[list[str]] = []
    for number in range(rounds):
        name = chance.choice(sorted(READ))
        damage, content = damaged(READ[name], chance)
        path = folder / f"model{Path(name).suffix}"
        path.write_bytes(content)
        print(f"{number} {name} {damage}", file=sys.stderr)
        try:
            read_model_file({"path": str(path), "limits": limits})
        except Refused:
            continue
        except Exception:  # noqa: BLE001  whatever else comes out is what the test wants to see
            wrong.append([name, damage, traceback.format_exc()])
    print(json.dumps(wrong))


if __name__ == "__main__":
    main()
