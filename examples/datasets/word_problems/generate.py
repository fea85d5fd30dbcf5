"""Make the word problems: templates in Chinese, filled at random.

In a template, [a|b] is a choice, <a；b> are clauses in either order, {A} and {B} are names, {x} a
thing with its measure word {u}, {p} a place, and {a}, {b}, ... numbers. A problem may begin with a
number that does not matter. Problems that differ only in their numbers count as one problem.

Command: python examples/datasets/word_problems/generate.py [DIRECTORY]
"""

from __future__ import annotations

import random
import re
import sys
from fractions import Fraction
from pathlib import Path

SIZES = {"train": 1000, "valid": 100, "test": 200}
NAMES = "小明 小红 小刚 小丽 小华 小军 李雷 王芳 张强 刘洋 陈晨 小雨 阿杰 冬冬 乐乐 小燕".split()
THINGS = (
    "个苹果 个梨 支铅笔 本故事书 张邮票 块糖 颗玻璃球 朵纸花 只小鸡 枚硬币 条金鱼 张卡片 个气球 "
    "本练习本 块橡皮 个鸡蛋 盆花 面彩旗 个橘子 粒纽扣"
).split()
PLACES = "甲地到乙地 学校到图书馆 城里到海边 家到车站 东村到西村 县城到省城".split()
ASIDES = ["{A}今年{z}岁，", "{z}月的一天，", "{z}路公交车站旁，", "在第{z}小学，", "上午{z}点，"]

TEMPLATES = [
    ("{A}有{a}{u}{x}，{B}[又给他|送给他|再给他]{b}{u}，{A}现在有[多少|几]{u}{x}？", "{a}+{b}"),
    ("<{A}有{a}{u}{x}；{B}有{b}{u}{x}>，两人[一共|共|合起来]有多少{u}？", "{a}+{b}"),
    ("{A}有{a}{u}{x}，[送给{B}|用掉|弄丢了]{b}{u}，还[剩|有]多少{u}？", "{a}-{b}"),
    ("{A}[送给{B}|用掉|弄丢了]{b}{u}{x}，原来他有{a}{u}，[还剩多少{u}|现在有多少{u}]？", "{a}-{b}"),
    ("<{A}有{a}{u}{x}；{B}有{b}{u}>，{A}比{B}多多少{u}？", "{a}-{b}"),
    ("<{A}有{a}{u}{x}；{B}有{b}{u}>，{B}比{A}少多少{u}？", "{a}-{b}"),
    ("{A}有{a}{u}{x}，{B}比他多{b}{u}，{B}有多少{u}？", "{a}+{b}"),
    ("{A}有{a}{u}{x}，{B}比他少{b}{u}，{B}有多少{u}？", "{a}-{b}"),
    ("{A}有{a}{u}{x}，比{B}多{b}{u}，{B}有多少{u}？", "{a}-{b}"),
    ("{A}有{a}{u}{x}，比{B}少{b}{u}，{B}有多少{u}？", "{a}+{b}"),
    ("{A}有{a}{u}{x}，{B}的是他的{b}倍，{B}有多少{u}？", "{a}*{b}"),
    ("{A}有{a}{u}{x}，是{B}的{b}倍，{B}有多少{u}？", "{a}/{b}"),
    ("{A}有{a}{u}{x}，{B}的是他的{b}倍，两人[一共|共]有多少{u}？", "{a}+{a}*{b}"),
    ("{A}有{a}{u}{x}，{B}的比他的{b}倍多{c}{u}，{B}有多少{u}？", "{a}*{b}+{c}"),
    ("{A}有{a}{u}{x}，{B}的比他的{b}倍少{c}{u}，{B}有多少{u}？", "{a}*{b}-{c}"),
    ("每[盒|箱|袋]装{a}{u}{x}，[买了|有]{b}[盒|箱|袋]，[一共|共]有多少{u}？", "{a}*{b}"),
    ("[买了|有]{b}[盒|箱|袋]{x}，每[盒|箱|袋]{a}{u}，[一共|共]有多少{u}？", "{a}*{b}"),
    ("把{a}{u}{x}平均分给{b}个[小朋友|同学]，每人[得到|分到]多少{u}？", "{a}/{b}"),
    ("{a}{u}{x}，每{b}{u}装一[盒|箱|袋]，[可以|能]装多少[盒|箱|袋]？", "{a}/{b}"),
    ("{A}有{a}{u}{x}，[送人|用掉]{c}{u}后平均分给{b}个同学，每人多少{u}？", "({a}-{c})/{b}"),
    ("<{A}带来{a}{u}{x}；{B}带来{c}{u}>，平均分给{b}个同学，每人多少{u}？", "({a}+{c})/{b}"),
    ("每{u}{x}{a}元，[{A}|{B}]买{b}{u}，[要付|应付|需要]多少元？", "{a}*{b}"),
    ("{A}买{b}{u}{x}，每{u}{a}元，付了{c}元，[应找回|找回]多少元？", "{c}-{a}*{b}"),
    ("{A}付了{c}元，买{b}{u}{x}，每{u}{a}元，[应找回|找回]多少元？", "{c}-{a}*{b}"),
    ("{A}用{a}元买了{b}{u}{x}，{B}买同样的{c}{u}，要付多少元？", "{a}/{b}*{c}"),
    ("{A}买{a}{u}{x}用了{b}元，[平均|]每{u}多少元？", "{b}/{a}"),
    ("{x}原价每{u}{a}元，[现在|今天]便宜{b}元，{A}买{c}{u}要多少元？", "({a}-{b})*{c}"),
    ("{x}每{u}{a}元，[涨价|贵了]{b}元后，{A}买{c}{u}要多少元？", "({a}+{b})*{c}"),
    ("[汽车|客车|卡车]每小时行{a}千米，从{p}用了{b}小时，[路长|全程]多少千米？", "{a}*{b}"),
    ("从{p}有{a}千米，[汽车|客车|卡车]{b}小时行完，每小时行多少千米？", "{a}/{b}"),
    ("从{p}有{a}千米，{A}[骑车|坐车]每小时行{b}千米，要[几|多少]小时？", "{a}/{b}"),
    ("从{p}有{a}千米，[汽车|客车]每小时行{b}千米，行了{c}小时，还剩多少千米？", "{a}-{b}*{c}"),
    ("<{A}每小时走{a}千米；{B}每小时走{b}千米>，同时从两地相向而行，{c}小时相遇，"
     "两地相距多少千米？", "({a}+{b})*{c}"),
    ("两地相距{c}千米，<{A}每小时行{a}千米；{B}每小时行{b}千米>，同时相向而行，几小时相遇？",
     "{c}/({a}+{b})"),
    ("工人[每天|一天]做{a}{u}{x}，做了{b}天，还剩{c}{u}，一共要做多少{u}？", "{a}*{b}+{c}"),
    ("要做{a}{u}{x}，每天做{b}{u}，做了{c}天，还剩多少{u}？", "{a}-{b}*{c}"),
    ("要做{a}{u}{x}，原计划每天做{b}{u}，实际每天多做{c}{u}，实际几天做完？", "{a}/({b}+{c})"),
    ("要做{a}{u}{x}，已经做了{b}{u}，剩下的{c}天做完，平均每天做多少{u}？", "({a}-{b})/{c}"),
    ("一块长方形[菜地|花园|操场]，<长{a}米；宽{b}米>，[面积是多少平方米|它的面积]？", "{a}*{b}"),
    ("一块长方形[菜地|花园|操场]，<长{a}米；宽{b}米>，[周长是多少米|它的周长]？", "({a}+{b})*2"),
    ("一块正方形[菜地|花园|手帕]，边长{a}米，周长是多少米？", "{a}*4"),
    ("一个三角形，<底{a}厘米；高{b}厘米>，面积是多少平方厘米？", "{a}*{b}/2"),
    ("[教室|仓库|商店]里有{a}{u}{x}，[上午|昨天]拿走{b}{u}，[下午|今天]拿走{c}{u}，还有多少{u}？",
     "{a}-{b}-{c}"),
    ("[教室|仓库|商店]里有{a}{u}{x}，[上午|昨天]拿走{b}{u}，[下午|今天]运来{c}{u}，现在有多少{u}？",
     "{a}-{b}+{c}"),
    ("{A}[语文|数学|英语]考了{a}分，[科学|音乐|体育]考了{b}分，平均多少分？", "({a}+{b})/2"),
    ("{A}看一本[书|小说]，[每天|一天]看{a}页，看了{b}天，还有{c}页没看，这本书有多少页？",
     "{a}*{b}+{c}"),
    ("一本[书|小说]有{a}页，{A}看了{b}天，[每天|一天]看{c}页，还有多少页没看？", "{a}-{b}*{c}"),
]  # fmt: skip


def spelled(template: str, rng: random.Random) -> str:
    """A template with its choices made."""
    text = re.sub(r"\[([^]]*)\]", lambda m: rng.choice(m[1].split("|")), template)

    def shuffled(match):
        clauses = match[1].split("；")
        return "，".join(rng.sample(clauses, len(clauses)))

    return re.sub(r"<([^>]*)>", shuffled, text)


def numbers(equation: str, rng: random.Random) -> tuple[dict[str, int], int]:
    """Different numbers by letter for which the equation gives a natural number, and that."""
    while True:
        drawn = rng.sample(range(3, 60), 3) + [rng.randint(61, 400)]
        rng.shuffle(drawn)
        values = dict(zip("abc", drawn, strict=False))
        exact = {letter: Fraction(value) for letter, value in values.items()}
        # Code of this file, not of the data: the equations are those of the templates above.
        found = eval(re.sub(r"{(.)}", r"\1", equation), {}, exact)
        if 0 < found < 3000 and found.denominator == 1:
            return values, int(found)


def problem(rng: random.Random) -> tuple[str, tuple[str, str, str]]:
    """A problem without its numbers, and its row: problem, equation, answer."""
    template, equation = rng.choice(TEMPLATES)
    (a, b), thing = rng.sample(NAMES, 2), rng.choice(THINGS)
    text = spelled(template, rng)
    if rng.random() < 0.25:
        aside = rng.choice(ASIDES)
        text = aside.replace("{A}", "{A}" if "{A}" in text else rng.choice(NAMES)) + text
    values, answer = numbers(equation, rng)
    words = {"A": a, "B": b, "u": thing[0], "x": thing[1:], "p": rng.choice(PLACES)}
    skeleton = re.sub(r"{([a-cz])}", "#", text).format(**words)
    # Not a number of the problem, so that every number of an equation is found only once.
    aside = rng.choice([n for n in range(1, 13) if n not in values.values()])
    row = (text.format(**words, **values, z=aside), equation.format(**values), str(answer))
    return skeleton, row


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng, rows = random.Random(1), {}
    while len(rows) < sum(SIZES.values()):
        rows.setdefault(*problem(rng))
    lines = iter(["\t".join(row) + "\n" for row in rows.values()])
    for split, size in SIZES.items():
        with open(directory / f"{split}.tsv", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(next(lines) for _ in range(size))


if __name__ == "__main__":
    main()
