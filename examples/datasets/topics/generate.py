"""Make the messages with topics: clauses in English, each about one of twelve topics.

A message is of one to three clauses, joined in any order, sometimes with one that is about nothing;
its labels are the topics. A quarter of the clauses occur only in valid and test, so that a topic
must be understood and not only be looked up. [a|b] is a choice. The format is
`text<TAB>topic, topic, ...`, with nothing behind the tab where there is no topic.

Command: python examples/datasets/topics/generate.py [DIRECTORY]
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

SIZES = {"train": 400, "valid": 80, "test": 160}
# Every fourth clause of a topic, from the last one back, is held out for valid and test.
CLAUSES = {
    "weather": """the [forecast|radio] says [heavy rain|snow] until [Friday|Sunday]
        it is [far too hot|freezing] outside
        the storm [knocked over|uprooted] two trees
        thick fog covers the [valley|harbour]
        the sun finally came out [today|this morning]
        we had hail the size of [marbles|walnuts]
        a cold wind blows from the [north|sea]
        it has drizzled [all week|since noon]""",
    "food": """I [baked|burned] the bread again
        the soup needs more [salt|pepper]
        [dinner|lunch] was rice with [beans|fish]
        she cooks the best [noodles|dumplings] in town
        the [bakery|cafe] sells fresh cakes
        he ate a whole [pizza|pie] alone
        the cheese [smells|tastes] strange
        we picked [apples|cherries] and made jam""",
    "sport": """our team [won|lost] the match by two goals
        she runs [ten|five] kilometres every day
        the coach [changed|praised] the goalkeeper
        he swam a new [record|personal best]
        the [tennis|chess] final is on [Saturday|Monday]
        they cycled over three mountains
        the referee [stopped|delayed] the game
        we climbed the wall at the gym""",
    "health": """the doctor [prescribed|changed] my pills
        my [back|tooth] has hurt for days
        he is in hospital with a broken [leg|arm]
        the nurse took my blood pressure
        [half the office|my sister] has the flu
        I slept badly and have a headache
        the vaccine made my arm sore
        her cough is [worse|better] than last week""",
    "money": """the bank [raised|lowered] its fees
        I still owe him [forty|ninety] euros
        the rent goes up in [May|June]
        my salary arrives [late|on Friday]
        she [sold|bought] shares at the wrong time
        the tax office wants more papers
        we saved enough for a [new|small] loan
        the invoice is [still unpaid|wrong again]""",
    "travel": """our flight was [cancelled|three hours late]
        the hotel lost our booking
        we took the night train to the [coast|capital]
        my passport [expires|ran out] this year
        the ferry leaves at [noon|dawn]
        I left my suitcase at the airport
        they are on holiday on an island
        the bus tour stops at [every|the old] castle""",
    "work": """my boss [moved|cancelled] the meeting
        the deadline is [tomorrow|next week]
        she has a job interview on [Monday|Thursday]
        two colleagues [quit|were promoted]
        I must finish the report tonight
        the office [closes|moves] in spring
        he works the night shift at the factory
        the client wants another presentation""",
    "school": """the teacher gave us too much homework
        my daughter passed her [maths|history] exam
        the class goes to the museum
        he [forgot|lost] his exercise book
        the lectures start in [October|September]
        pupils must wear [uniforms|badges]
        she got the best marks of her year
        the professor marks the essays [slowly|strictly]""",
    "music": """the band plays [loud|old] songs
        I practise the [piano|violin] every evening
        the concert is sold out
        her new album is [brilliant|boring]
        the choir needs two more singers
        he tuned his guitar for an hour
        the orchestra rehearses [on Tuesdays|in the hall]
        that melody [stays in my head|made me cry]""",
    "pets": """the cat [slept|hid] under the sofa
        our dog [barks|growls] at the postman
        the parrot learned a new word
        I clean the aquarium on [Sundays|Fridays]
        the puppy chewed my [shoes|slippers]
        our rabbit escaped from its cage
        the kitten had to go to the vet
        the hamster runs in its wheel at night""",
    "computers": """my laptop [crashed|froze] again
        the new update [broke|fixed] the printer
        I forgot the password of my account
        the website is down [since noon|again]
        she writes software for [phones|robots]
        the keyboard lost its space bar
        someone hacked the [server|network]
        the hard disk is almost full""",
    "garden": """the roses [bloom|faded] early this year
        snails ate all my lettuce
        I mowed the lawn [yesterday|twice]
        the tomatoes need more water
        we planted [tulips|an oak] by the fence
        the hedge must be trimmed
        weeds grow faster than the [carrots|beans]
        the greenhouse lost a pane""",
}
NOTHING = [
    "[well|anyway], that is all for now",
    "I will [call|write to] you [soon|later]",
    "you will not believe [this|it]",
    "nothing much is new here",
    "thanks for your [letter|message]",
]
JOINTS = [", and ", "; ", ", but ", ". By the way, ", ", while "]


def clauses(split: str) -> dict[str, list[str]]:
    """The clauses that a split may use."""
    known = {topic: [line.strip() for line in text.split("\n")] for topic, text in CLAUSES.items()}
    if split == "train":
        return {topic: [c for k, c in enumerate(all_, 1) if k % 4] for topic, all_ in known.items()}
    return known


def item(rng: random.Random, known: dict[str, list[str]]) -> tuple[str, str]:
    """A text and its topics."""
    topics = rng.sample(sorted(known), rng.choice([0, 1, 1, 2, 2, 2, 3, 3]))
    parts = [rng.choice(known[topic]) for topic in topics]
    if not parts or rng.random() < 0.3:
        parts.append(rng.choice(NOTHING))
    if len(parts) == 1 and not topics:
        parts += rng.sample([c for c in NOTHING if c not in parts], rng.randint(0, 1))
    rng.shuffle(parts)
    text = "".join(p for part in parts for p in (rng.choice(JOINTS), part))
    text = re.sub(r"^[,;. ]*(By the way, |and |but |while )?", "", text)
    text = re.sub(r"\[([^]]*)\]", lambda m: rng.choice(m[1].split("|")), text)
    return text[0].upper() + text[1:] + ".", ", ".join(sorted(topics))


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng, seen = random.Random(1), set()
    for split, size in SIZES.items():
        known, lines = clauses(split), []
        while len(lines) < size:
            text, topics = item(rng, known)
            if text not in seen:
                seen.add(text)
                lines.append(f"{text}\t{topics}\n")
        with open(directory / f"{split}.tsv", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)


if __name__ == "__main__":
    main()
