"""Make the questions about tables: tables of random rows, questions from templates, their SQL.

A table is given as name|noun|nouns|columns. A column, `title=kind:ways`, has a kind of text (a list
of words below, or `Word#` for Word 1, Word 2, ...) or a range of numbers, and ways to say a
condition on it, where `+` means that the value comes before the noun. The first column names the
row. A table is in one split only.

Command: python examples/datasets/tables/generate.py [DIRECTORY]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

SIZES = {"train": 480, "valid": 80, "test": 160}
AGGREGATES = ("", "AVG", "MAX", "MIN", "COUNT", "SUM")  # numbered as in TableQA's files
OPERATORS = (">", "<", "=", "!=")
WORDS = {
    "person": "Anna Berg|Ben Okoro|Carla Ruiz|David Lind|Elena Popova|Farid Aziz|Grace Kim|"
    "Hugo Martin|Ines Costa|Jonas Weber|Kira Novak|Liam Byrne|Mei Tanaka|Nora Haddad|Omar Said",
    "city": "Lisbon|Oslo|Vienna|Dublin|Naples|Warsaw|Bergen|Porto|Lyon|Krakow|Seville|Ghent|Turin",
    "country": "Portugal|Norway|Austria|Ireland|Italy|Poland|France|Spain|Belgium|Peru|Kenya|Japan",
    "color": "red|green|blue|yellow|white|black|silver|orange",
    "fuel": "electric|diesel|hybrid|petrol",
    "film": "Silent Harbour|The Last Orchard|Paper Moons|Winter Letters|Glass River|Red Lanterns|"
    "The Long Ferry|Salt and Stone|Northern Lights|A Quiet War|Blue Hour|The Clockmaker",
    "genre": "comedy|drama|thriller|documentary|musical",
    "book": "Dust and Honey|The Ninth Bridge|A House of Maps|Slow Trains|The Amber Key|Low Tide|"
    "Letters from Riga|The Bee Garden|Stone Soup|Midnight Bread|The Paper Wolf|Far Islands",
    "cuisine": "Thai|Mexican|Indian|Greek|Ethiopian|Korean",
    "restaurant": "Blue Door|Casa Luna|Golden Fork|The Olive Tree|Spice Lane|Little Harbor|"
    "Green Table|Mama Rosa|The Copper Pot|Saffron|Sea Salt|Corner Stove",
    "subject": "physics|history|biology|music|geography|chemistry",
    "course": "Stars and Planets|Old Empires|Life in Water|Harmony One|Rivers of Europe|"
    "Metals and Salts|Light and Waves|Modern Times|Plants at Night|Reading Scores|Atoms",
    "department": "sales|finance|research|logistics|design",
    "instrument": "violin|cello|flute|trumpet|piano|oboe",
    "material": "wood|steel|stone|concrete|brick",
    "breed": "collie|terrier|poodle|beagle|spaniel",
    "pet": "Bella|Rocky|Luna|Max|Daisy|Charlie|Molly|Oscar|Ruby|Toby|Coco|Milo",
    "sport": "rowing|fencing|judo|archery|sailing|boxing",
    "museum": "Maritime Museum|Museum of Glass|City Gallery|House of Science|Toy Museum|"
    "Railway Museum|Museum of Maps|Textile Hall|Clock Museum|Garden Gallery|Mint Museum",
    "crop": "wheat|barley|maize|rye|oats|potatoes",
    "ship": "Aurora|Sea Falcon|Northern Star|Esperanza|Blue Whale|Morning Dew|Albatross|Polaris|"
    "Santa Clara|Windrose|Calypso|Marigold",
    "cargo": "coffee|timber|steel|grain|cotton",
    "bridge": "Swan Bridge|King's Bridge|Mill Bridge|Old Tower Bridge|Stone Arch|Canal Bridge|"
    "Harbour Bridge|Long Bridge|Rose Bridge|Station Bridge|Market Bridge",
    "park": "Fern Hollow|Eagle Ridge|Silver Lake|Granite Pass|Pine Valley|Heron Marsh|Wolf Creek|"
    "Sunset Cliffs|Birch Forest|Moose Bay|Amber Dunes",
    "phone": "Nova 5|Pixelon|Orbit X|Zento Mini|Aero 7|Lumo Plus|Kite Pro|Halo S|Vega 2|Sonic Max",
}
TABLES = {  # split: table, noun, nouns, columns
    "train": """
films|film|films|title=film;director=person:directed by,by;genre=genre:+;year=1980-2020;
budget=5-90
cars|car|cars|model=Model#;color=color:+;fuel=fuel:+;price=8000-60000;owner=person:owned by
employees|employee|employees|name=person;department=department:in,from;city=city:in,based in;
salary=24000-90000;age=21-64
restaurants|restaurant|restaurants|restaurant=restaurant;cuisine=cuisine:+;city=city:in;
seats=12-140;rating=1-10
flights|flight|flights|flight number=Flight#;from=city:from;to=city:to;duration=45-400;
passengers=40-300
books|book|books|title=book;author=person:written by,by;country=country:from;page count=90-900;
copies sold=1000-90000
athletes|athlete|athletes|athlete=person;country=country:from,of;sport=sport:in;medals=1-19;
weight=48-110
ships|ship|ships|ship=ship;captain=person:sailed by,under;cargo=cargo:carrying,loaded with;
length=40-300;year built=1950-2019
museums|museum|museums|museum=museum;city=city:in;director=person:led by;visitors=2000-90000;
year opened=1850-2010
dogs|dog|dogs|name=pet;breed=breed:+;color=color:+;age=1-15;weight=4-45
courses|course|courses|course=course;subject=subject:about,in;teacher=person:taught by;
students=8-120;credits=2-12
bridges|bridge|bridges|bridge=bridge;material=material:of,made of;city=city:in;length=30-900;
year completed=1800-2015
""",
    "valid": """
farms|farm|farms|farm=Farm#;crop=crop:growing;country=country:in;area=10-900;workers=2-60
musicians|musician|musicians|musician=person;instrument=instrument:playing;city=city:from;
concerts=3-120;fee=200-9000
""",
    "test": """
parks|park|parks|park=park;country=country:in;ranger=person:managed by;area=12-900;
year founded=1890-2015
phones|phone|phones|model=phone;color=color:+;maker=country:from;price=90-1400;storage=16-512
trains|train|trains|train=Train#;origin=city:from;destination=city:to;speed=80-320;cars=3-16
players|player|players|player=person;instrument=instrument:with;country=country:from;
recordings=1-40;age=18-80
houses|house|houses|address=Number#;material=material:of;owner=person:owned by;rooms=2-14;
price=90000-900000
""",
}
ASK = {  # the question: {h} and {i} are columns, {N} is the row and its conditions
    "key": ["Which {N} are there?", "List the {N}.", "Show all {N}.", "Name the {N}."],
    "column": ["What is the {h} of the {N}?", "Tell me the {h} of the {N}."],
    "two": ["What are the {h} and the {i} of the {N}?", "Show {h} and {i} of the {N}."],
    "COUNT": ["How many {N} are there?", "Count the {N}.", "What is the number of {N}?"],
    "AVG": ["What is the average {h} of the {N}?", "On average, what is the {h} of {N}?"],
    "MAX": ["What is the highest {h} of the {N}?", "What is the maximum {h} of {N}?"],
    "MIN": ["What is the lowest {h} of the {N}?", "What is the minimum {h} of {N}?"],
    "SUM": ["What is the total {h} of the {N}?", "Sum up the {h} of {N}."],
    "range": ["What are the highest and the lowest {h} of the {N}?"],
}
WEIGHTS = {"key": 5, "column": 1, "two": 1, "COUNT": 1}
WEIGHTS |= {"MIN": 1, "AVG": 1, "range": 1, "MAX": 1, "SUM": 1}
COMPARE = {
    ">": ["with a {h} above {v}", "whose {h} is more than {v}", "with {h} over {v}"],
    "<": ["with a {h} below {v}", "whose {h} is less than {v}", "with {h} under {v}"],
    "=": ["with a {h} of {v}", "whose {h} is {v}", "with {h} {v}"],
    "!=": ["whose {h} is not {v}", "with a {h} other than {v}"],
}


class Source:
    """A table, from which questions are drawn."""

    def __init__(self, line: str, rng: random.Random):
        self.rng, (self.name, self.noun, self.nouns, columns) = rng, line.split("|")
        self.header, self.ways, kinds = [], [], []
        for column in columns.split(";"):
            title, _, rest = column.partition("=")
            kind, _, ways = rest.partition(":")
            self.header.append(title)
            self.ways.append(ways.split(",") if ways else [])
            kinds.append(kind)
        self.real = [kind[0].isdigit() for kind in kinds]
        self.rows = list(zip(*(self.cells(k, not i) for i, k in enumerate(kinds)), strict=True))

    def cells(self, kind: str, different: bool, size: int = 9) -> list:
        if kind[0].isdigit():
            low, high = map(int, kind.split("-"))
            return [self.rng.randint(low, high) for _ in range(size)]
        if kind.endswith("#"):
            return [f"{kind[:-1]} {n}" for n in self.rng.sample(range(2, 99), size)]
        words = WORDS[kind].split("|")
        return self.rng.sample(words, size) if different else self.rng.choices(words, k=size)

    def record(self) -> dict:
        types = ["real" if real else "text" for real in self.real]
        return {"id": self.name, "header": self.header, "types": types, "rows": self.rows}

    def condition(self, column: int, row) -> tuple[str, str, list]:
        """Return the words before and behind the noun, and the conditions on one column."""
        value, title, rng = row[column], self.header[column], self.rng
        if self.real[column]:
            op = rng.choice("><><=")
            value += {">": -1, "<": 1, "=": 0}[op] * rng.randint(1, max(1, min(value // 20, 30)))
        else:
            op = rng.choices(["=", "!="], [9, 1])[0]
        said = self.misspelt(value)
        if op == "=" and self.ways[column]:
            other = rng.choice([r[column] for r in self.rows if r[column] != value] or [value])
            conds = [(column, op, value)]
            if other != value and rng.random() < 0.2:
                said, conds = f"{said} or {other}", [*conds, (column, op, other)]
            way = rng.choice(self.ways[column])
            return (said, "", conds) if way == "+" else ("", f"{way} {said}", conds)
        return "", rng.choice(COMPARE[op]).format(h=title, v=said), [(column, op, value)]

    def misspelt(self, value) -> str:
        text = str(value)
        if text.isalpha() and len(text) > 6 and self.rng.random() < 0.1:
            place = self.rng.randrange(2, len(text) - 1)
            text = text[:place] + text[place + 1 :]
        return text

    def question(self) -> tuple[str, dict]:
        rng = self.rng
        ask = rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        reals = [c for c, real in enumerate(self.real) if real]
        needs_number = ask in ("AVG", "MAX", "MIN", "SUM", "range")
        first, second = rng.sample(range(1, len(self.header)), 2)
        first = rng.choice(reals) if needs_number else first
        sel, agg = {
            "key": ([0], [""]),
            "column": ([first], [""]),
            "two": ([first, second], ["", ""]),
            "COUNT": ([0], ["COUNT"]),
            "range": ([first, first], ["MAX", "MIN"]),
        }.get(ask, ([first], [ask]))
        row, noun = rng.choice(self.rows), self.noun if ask == "column" else self.nouns
        if ask == "column" and rng.random() < 0.5:
            conds, noun = [(0, "=", row[0])], str(row[0])
            text = rng.choice(["What is the {h} of {N}?", "Give me the {h} of {N}."])
        else:
            text = rng.choice(ASK[ask])
            free = [c for c in range(1, len(self.header)) if c not in sel]
            columns = rng.sample(free, min(len(free), rng.choices([1, 2], [5, 5])[0]))
            parts = [self.condition(c, row) for c in columns]
            if sum(len(some) for _, _, some in parts) > len(parts):  # "or" is not mixed with "and"
                parts = [max(parts, key=lambda part: len(part[2]))]
            behind = rng.choice([" and ", " "]).join(b for _, b, _ in parts if b)
            noun = " ".join([*(b for b, _, _ in parts if b), noun, behind]).strip()
            conds = [cond for *_, some in parts for cond in some]
        text = text.format(h=self.header[first], i=self.header[second], N=noun)
        conn = (2 if conds[0][0] == conds[1][0] else 1) if len(conds) > 1 else 0
        sql = {
            "sel": sel,
            "agg": [AGGREGATES.index(a) for a in agg],
            "cond_conn_op": conn,
            "conds": [[c, OPERATORS.index(op), str(value)] for c, op, value in conds],
        }
        return text.lower() if rng.random() < 0.3 else text, sql


def write(path: Path, records: list[dict]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng = random.Random(1)
    for split, size in SIZES.items():
        lines = TABLES[split].replace(";\n", ";").strip().split("\n")
        sources = [Source(line, rng) for line in lines]
        found: dict[str, dict] = {}
        while len(found) < size:
            source = sources[len(found) % len(sources)]
            text, sql = source.question()
            if text.lower() not in (known.lower() for known in found):
                found[text] = {"table_id": source.name, "question": text, "sql": sql}
        records = list(found.values())
        rng.shuffle(records)
        write(directory / f"{split}.jsonl", records)
        write(directory / f"{split}.tables.jsonl", [source.record() for source in sources])


if __name__ == "__main__":
    main()
