"""Make the knowledge base and the texts that mention its entities: templates, filled at random.

A name belongs to three or four entities, most of different kinds. The rest of the text tells which
one is meant. The three splits have different names, and valid and test have their own sentences.
Some mentions are not in the knowledge base (NIL), and a few names are common words.

Command: python examples/datasets/knowledge_base/generate.py [DIRECTORY]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

SIZES = {"train": 700, "valid": 100, "test": 200}
NAMES = {
    "train": (
        "Harwell Marlow Selby Denholm Arden Corbet Ashby Lorne Tarrant Wexley Calder Orwin Bramley "
        "Fenwick Halden Ravel Kestrel Ludlow Morven Norden Oakham Pelham Quinton Rowan Stavely "
        "Torrin Ulver Varley Welland Yarrow Deal Bath Hope March"
    ).split(),
    "valid": "Alston Brecon Carrow Dunmore Elgin Farley Glaven Sandwich".split(),
    "test": (
        "Hexham Irwell Jarrow Kelso Linton Merrick Newland Osmond Penrith Ribble Stirling Tamar "
        "Reading Battle"
    ).split(),
}
COUNTRIES = "Scotland Wales Norway Canada Ireland Kenya Portugal Austria".split()
# What an entity of a kind is known for: predicates and the values to choose from.
FACTS = {
    "footballer": {"position": ["goalkeeper", "striker", "defender"], "country": COUNTRIES},
    "river": {"country": COUNTRIES, "flows into": ["the sea", "a lake", "a larger river"]},
    "town": {"country": COUNTRIES, "known for": ["its castle", "its market", "its harbour"]},
    "novel": {"genre": ["crime", "romance", "science fiction"], "published": ["1931", "1978"]},
    "film": {"genre": ["comedy", "western", "horror"], "released": ["1954", "1999", "2011"]},
    "singer": {"style": ["jazz", "opera", "folk"], "country": COUNTRIES},
    "company": {"makes": ["bicycles", "software", "shoes"], "country": COUNTRIES},
    "politician": {"office": ["minister", "mayor", "senator"], "country": COUNTRIES},
}
# Sentences for training, then those only for valid and test; {m} is the name, {...} a fact.
SENTENCES = {
    "footballer": (
        [
            "{m} scored twice before half-time.",
            "The coach left {m} on the bench again.",
            "{m}, the {position}, was injured in the second half.",
            "The club paid a record fee for {m}.",
            "{m} missed the penalty and the match was lost.",
            "Fans cheered when {m} came on for {country}.",
        ],
        [
            "{m} was sent off after a second yellow card.",
            "At thirty-four, {m} still plays every game of the season.",
            "Nobody expected {m} of {country} to win the cup with a late goal.",
            "The {position} {m} joined the team in January.",
        ],
    ),
    "river": (
        [
            "After the storm the {m} burst its banks.",
            "They rowed down the {m} for three days.",
            "The {m} rises in the hills of {country}.",
            "Salmon have come back to the {m} since the mill closed.",
            "The bridge over the {m} is closed for repairs.",
            "The water of the {m} is clean enough to swim in.",
        ],
        [
            "Heavy rain made the {m} flood the meadows.",
            "We fished in the {m} until dusk.",
            "A ferry used to cross the {m}, the longest stream of {country}.",
            "Where the {m} meets {flows into}, herons nest.",
        ],
    ),
    "town": (
        [
            "The people of {m} elected a new council.",
            "Trains to {m} leave every hour.",
            "{m} is loved for {known for}.",
            "House prices in {m} have doubled.",
            "They moved to {m}, in the north of {country}.",
            "A fire destroyed the old school in {m}.",
        ],
        [
            "The shops of {m} close at noon on Wednesdays.",
            "Tourists come to {m} for {known for}.",
            "She grew up in {m}, a quiet place in {country}.",
            "The bus from {m} was late.",
        ],
    ),
    "novel": (
        [
            "I could not put {m} down before the last chapter.",
            "The author wrote {m} in six weeks.",
            "{m} is a {genre} story of four hundred pages.",
            "The paperback of {m} sold out within days.",
            "Critics compared the prose of {m} with that of the classics.",
            "Our book club discussed {m} last night.",
        ],
        [
            "The narrator of {m} lies on every page.",
            "A first edition of {m} from {published} was sold at auction.",
            "She read {m} on the train, all twenty chapters.",
            "Publishers had rejected the manuscript of {m}.",
        ],
    ),
    "film": (
        [
            "The director shot {m} in black and white.",
            "{m} runs for three hours and has no music.",
            "We saw {m} at the cinema, a {genre} from {released}.",
            "{m} won the award for best screenplay.",
            "The actors of {m} walked down the red carpet.",
            "The last scene of {m} was cut by the studio.",
        ],
        [
            "The trailer of {m} promises a {genre}.",
            "{m} flopped at the box office in {released}.",
            "Her first part as an actress was in {m}.",
            "The camera work in {m} is superb.",
        ],
    ),
    "singer": (
        [
            "{m} gave two concerts in one evening.",
            "The new album of {m} came out in May.",
            "{m} has the finest {style} voice of the decade.",
            "The orchestra waited while {m} lost her voice.",
            "Born in {country}, {m} began with street music.",
            "The song made {m} famous overnight.",
        ],
        [
            "{m} cancelled the tour because of a sore throat.",
            "Tickets for the recital of {m} were gone in minutes.",
            "On stage, {m} sang {style} without a microphone.",
            "The record label dropped {m} after one hit.",
        ],
    ),
    "company": (
        [
            "Shares of {m} fell by nine per cent.",
            "{m} will cut four hundred jobs.",
            "{m} makes {makes} in two factories.",
            "The board of {m} rejected the takeover.",
            "Profits at {m} rose in the first quarter.",
            "{m} opened an office in {country}.",
        ],
        [
            "{m} recalled thousands of {makes}.",
            "Investors sold their stock in {m}.",
            "The chief executive of {m} resigned over the accounts.",
            "Workers at {m} went on strike for higher pay.",
        ],
    ),
    "politician": (
        [
            "{m} voted against the tax bill.",
            "The opposition asked {m} to resign.",
            "{m}, then {office}, signed the treaty.",
            "In the debate {m} promised lower rents.",
            "{m} lost the election by a handful of votes.",
            "Parliament listened while {m} of {country} defended the budget.",
        ],
        [
            "{m} announced a campaign for a second term.",
            "Voters in {country} trust {m} less than before.",
            "The cabinet met without {m}.",
            "As {office}, {m} reformed the pension law.",
        ],
    ),
}
FULL = {  # longer names, as aliases: "River Harwell"
    "footballer": "{first} {m}",
    "river": "River {m}",
    "town": "{m}",
    "novel": "The {m} Affair",
    "film": "Return to {m}",
    "singer": "{first} {m}",
    "company": "{m} Ltd",
    "politician": "{first} {m}",
}
FIRST = "Anna Boris Clara David Emma Frank Grace Henry Ivy Jonas Karin Leo Mara Niall".split()
ASIDES = {
    "train": [
        "It was a long day.",
        "Nobody was surprised.",
        "The report appeared on Monday.",
        "That was last year.",
        "Everyone talked about it.",
        "It took a great deal of patience.",
        "She ran a bath and went to bed.",
        "There is still hope.",
        "The soldiers had to march on.",
    ]
}
ASIDES["valid"] = [*ASIDES["train"], "They had a sandwich afterwards."]
ASIDES["test"] = [*ASIDES["train"], "He was reading a newspaper.", "It was a long battle."]
# Entities whose names the texts only ever use as words.
NEVER_MEANT = [
    {"name": "Nobody", "kind": "novel", "full": "Nobody", "facts": {"genre": "crime"}},
    {"name": "Last Year", "kind": "film", "full": "Last Year", "facts": {"genre": "comedy"}},
]


def entities_of(name: str, chance: random.Random) -> list[dict]:
    """Three or four entities of that name; among four, two are of one kind."""
    kinds = chance.sample(sorted(FACTS), 3)
    if chance.random() < 0.3:
        kinds.append(kinds[0])
    found = []
    for place, kind in enumerate(kinds):
        facts = {key: chance.choice(values) for key, values in FACTS[kind].items()}
        if place == 3:  # the namesake differs in everything
            for key, values in FACTS[kind].items():
                facts[key] = chance.choice([v for v in values if v != found[0]["facts"][key]])
        full = FULL[kind].format(m=name, first=chance.choice(FIRST))
        found.append({"name": name, "kind": kind, "full": full, "facts": facts})
    chance.shuffle(found)
    return found


def sentence(entity: dict, split: str, chance: random.Random, alike: bool) -> tuple[str, str]:
    """A sentence about an entity, and the name it uses; with `alike`, one that says a fact."""
    choices = SENTENCES[entity["kind"]][split != "train"]
    if alike:
        choices = [s for s in choices if s.count("{") > 1]
    text = chance.choice(choices)
    if entity["full"].startswith("River") and chance.random() < 0.3:
        name = entity["full"]
    else:
        name = entity["name"]
    return text.replace("{m}", "\0").format(**entity["facts"]), name


def sample(split: str, base: dict[str, list[dict]], chance: random.Random) -> dict:
    """One text with one or two mentions."""
    parts, mentions, length = [], [], 0
    for name in chance.sample(sorted(base), 1 + (chance.random() < 0.3)):
        entity = chance.choice(base[name])
        if chance.random() < 0.15:
            kind = chance.choice(sorted(set(FACTS) - {e["kind"] for e in base[name]}))
            facts = {key: chance.choice(values) for key, values in FACTS[kind].items()}
            entity = {"name": name, "kind": kind, "full": name, "facts": facts, "id": "NIL"}
        alike = sum(e["kind"] == entity["kind"] for e in base[name]) > 1
        text, used = sentence(entity, split, chance, alike)
        offset = length + text.index("\0")
        mentions.append({"mention": used, "offset": offset, "kb_id": entity["id"]})
        parts.append(text.replace("\0", used))
        length += len(parts[-1]) + 1
    if chance.random() < 0.5:
        parts.append(chance.choice(ASIDES[split]))
    return {"text": " ".join(parts), "mention_data": mentions}


def main(directory: Path) -> None:
    chance = random.Random(2026)
    base = {s: {name: entities_of(name, chance) for name in NAMES[s]} for s in SIZES}
    everything = [e for names in base.values() for group in names.values() for e in group]
    everything += [dict(entity) for entity in NEVER_MEANT]
    lines = []
    for number, entity in enumerate(everything, 1):
        entity["id"] = str(number)
        facts = {"kind": entity["kind"], **entity["facts"]}
        data = [{"predicate": key, "object": value} for key, value in facts.items()]
        alias = sorted({entity["name"], entity["full"]})
        row = {"subject_id": entity["id"], "subject": entity["full"], "alias": alias, "data": data}
        lines.append(json.dumps(row, ensure_ascii=False))
    (directory / "kb.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    seen = set()
    for split, size in SIZES.items():
        rows = []
        while len(rows) < size:
            row = sample(split, base[split], chance)
            if row["text"] not in seen:
                seen.add(row["text"])
                rows.append(json.dumps(row, ensure_ascii=False))
        (directory / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
