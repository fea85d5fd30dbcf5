"""Make sentences with relations between their names: templates in Chinese, filled at random.

A clause tells one to three facts; clauses about the same person, company or work are joined, so
that names take part in several triples, and two in two at once (founder and head of a company).
Clauses that tell nothing have names of the same kinds. Names of people and works are composed, so
that many of those in the test sentences do not occur in training. The format is DuIE's: a line
is {"text": ..., "spo_list": [{"subject": ..., "predicate": ..., "object": ...}, ...]}.

Command: python examples/datasets/relations/generate.py [DIRECTORY]
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

SIZES = {"train": 700, "valid": 80, "test": 120}
SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = ("建小志雨文晓思海雪子振春浩佳立国", "国燕强桐博东远涛梅涵宇兰然怡新栋")
PLACES = "青山县 临江市 白河镇 石桥镇 南岭市 云台县 海州市 北原市 清泉县 柳林镇 松江市 长岭市"
SCHOOLS = "师范学院 理工大学 农业大学 音乐学院 财经大学 医学院"
TRADES = "科技 食品 电子 航运 传媒 建材 制药 服装"
BRANDS = "蓝星 远航 金桥 绿野 天元 新月 东升 宏图 百川 长风"
FIRST = "沉默 最后 遥远 金色 无声 北方 午夜 消失 孤独 明天 古老 透明 漫长 陌生 蓝色 父亲"
LAST = "河流 火车 约定 海岸 花园 来信 灯塔 雪山 码头 邻居 影子 钟声 房间 秋天 秘密 旅行"
# {p} and {q} are people, {c} a company, {w} a work, {l} and {m} places, {s} a school. A triple is
# (subject, predicate, object); [a|b] is a choice.
CLAUSES = {
    "p": [
        ("{p}[出生于|生于]{l}", ["p 出生地 l"]),
        ("{p}，{l}人", ["p 出生地 l"]),
        ("{l}[出身|籍贯]的{p}", ["p 出生地 l"]),
        ("{p}[毕业于|曾就读于]{s}", ["p 毕业院校 s"]),
        ("{p}[出生于|生于]{l}，[毕业于|曾就读于]{s}", ["p 出生地 l", "p 毕业院校 s"]),
        ("{p}的[妻子|太太]是{q}", ["p 妻子 q", "q 丈夫 p"]),
        ("{p}[嫁给|的丈夫是]{q}", ["p 丈夫 q", "q 妻子 p"]),
        ("{p}[现任|担任]{c}的董事长", ["c 董事长 p"]),
        ("{p}[昨天|上周][访问|参观]了{c}", []),
        ("{p}[曾经|多次]到过{m}", []),
        ("{p}[和|与]{q}[是同学|相识多年]", []),
    ],
    "c": [
        ("{c}[总部位于|的总部设在]{l}", ["c 总部地点 l"]),
        ("{c}由{p}[创办|创立]", ["c 创始人 p"]),
        ("{p}是{c}的[创始人|创办者]，也是董事长", ["c 创始人 p", "c 董事长 p"]),
        ("{c}的董事长是{p}", ["c 董事长 p"]),
        ("{p}在{l}[创办|创立]了{c}", ["c 创始人 p", "c 总部地点 l"]),
        ("{c}[计划|准备]在{m}开设分店", []),
        ("{q}[曾是|不是]{c}的员工", []),
    ],
    "w": [
        ("小说《{w}》的作者是{p}", ["w 作者 p"]),
        ("{p}[写了|出版了]小说《{w}》", ["w 作者 p"]),
        ("电影《{w}》由{p}导演", ["w 导演 p"]),
        ("电影《{w}》由{p}执导，{q}主演", ["w 导演 p", "w 主演 q"]),
        ("{p}自导自演了电影《{w}》", ["w 导演 p", "w 主演 p"]),
        ("{q}[主演了电影《{w}》|在电影《{w}》中担任主角]", ["w 主演 q"]),
        ("歌曲《{w}》由{p}演唱", ["w 歌手 p"]),
        ("《{w}》讲的是{m}的故事", []),
        ("{q}[很喜欢|评论了]《{w}》", []),
    ],
}


def names(rng: random.Random) -> dict[str, str]:
    """A name for each slot."""
    people = [rng.choice(SURNAMES) + "".join(map(rng.choice, GIVEN)) for _ in range(2)]
    places = rng.sample(PLACES.split(), 2)
    return {
        **dict(zip("pq", people, strict=True)),
        **dict(zip("lm", places, strict=True)),
        "s": rng.choice(PLACES.split())[:2] + rng.choice(SCHOOLS.split()),
        "c": rng.choice(BRANDS.split()) + rng.choice(TRADES.split()) + "公司",
        "w": rng.choice(FIRST.split()) + "的" + rng.choice(LAST.split()),
    }


def item(rng: random.Random) -> dict:
    """A text and its triples."""
    chosen, triples = names(rng), []
    chosen["q"] = chosen["q"] + "芳" if chosen["q"] == chosen["p"] else chosen["q"]
    parts, told, theme = [], set(), rng.choice("pcw")
    for text, facts in rng.sample(CLAUSES[theme], rng.choice([1, 1, 2, 2, 3])):
        predicates = {fact.split()[1] for fact in facts}
        if told & predicates:  # nobody is born twice
            continue
        told |= predicates
        # Other people and places for other clauses: only what they are about is the same.
        words = {**names(rng), theme: chosen[theme]}
        if words["p"] == words["q"]:
            words["q"] = chosen["q"]
        text = re.sub(r"\[([^]]*)\]", lambda m: rng.choice(m[1].split("|")), text)
        parts.append(re.sub(r"{(.)}", lambda m, words=words: words[m[1]], text))
        for fact in facts:
            subject, predicate, target = fact.split()
            triples.append(
                {"subject": words[subject], "predicate": predicate, "object": words[target]}
            )
    return {"text": "，".join(parts) + "。", "spo_list": triples}


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng, rows = random.Random(1), {}
    while len(rows) < sum(SIZES.values()):
        row = item(rng)
        rows.setdefault(row["text"], json.dumps(row, ensure_ascii=False) + "\n")
    lines = iter(rows.values())
    for split, size in SIZES.items():
        with open(directory / f"{split}.json", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(next(lines) for _ in range(size))


if __name__ == "__main__":
    main()
