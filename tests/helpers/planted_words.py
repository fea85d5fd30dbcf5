"""Random texts with words in them that a search must find."""

from __future__ import annotations

import random

CHARACTERS = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏"
PLANTED = ["蝴蝶", "葡萄干", "乌鲁木齐", "布宜诺斯艾利斯"]


def planted_texts(count: int = 400, seed: int = 0) -> list[str]:
    """Random characters with a planted word in each text."""
    chooser = random.Random(seed)
    texts = []
    for i in range(count):
        noise = "".join(chooser.choices(CHARACTERS, k=8))
        place = chooser.randrange(9)
        texts.append(noise[:place] + PLANTED[i % 4] + noise[place:])
    return texts
