"""Make the segmented Chinese sentences: templates of words, filled at random.

Many sentences have a place where the longest word is the wrong one (研究/生命, not 研究生/命). The
invented names, numbers and compounds of valid and test are not those of train. In a template words
are separated by blanks; [a|b] is a choice, of which one may be several words joined by "_".

Command: python examples/datasets/segmentation/generate.py [DIRECTORY]
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

SIZES = {"train": 800, "valid": 100, "test": 150}
SLOTS = {
    "t": "今天 昨天 明天 上周 去年 下午 早上 最近 周末 春天 夏天 晚上",
    "j": "老师 医生 工人 农民 记者 司机 厨师 画家 作家 警察 学生 邻居 朋友 同事 客人",
    "w": "学校 医院 工厂 公园 商店 车站 图书馆 博物馆 饭馆 办公室 广场 河边 山上 村里",
    "f": "苹果 西瓜 面条 米饭 鸡蛋 牛奶 青菜 豆腐 饺子 包子 茶叶 点心",
    "b": "书 报纸 杂志 小说 文章 信 地图 故事 计划 作业",
    "a": "高兴 忙 累 认真 仔细 安静 着急 满意 热情 耐心",
    "d": "很 非常 特别 有点 十分 更加",
    "v": "讨论 研究 解决 发现 改变 了解 说明 考虑 观察 记录",
    "o": "问题 情况 办法 原因 结果 经验 方法 规律 现象 意见",
}
SURNAMES = "赵钱孙李周吴郑王冯陈蒋沈韩杨朱许何吕张孔曹"
GIVEN = "伟芳娜敏静强磊军洋勇艳杰涛明超国庆建华志秀英海燕春梅晓东文博雨桐思远嘉怡天佑长江平安立山"
PLACES = "青临白石东南云平海北清金柳龙松新红长花双古和大三沙五桃宝丰向西月铁"
KINDS = "市 县 镇 村 省 州 岛 湖 山 路"
TEMPLATES = """
{t} {p} 在 {w} [看|读|找] {b} 。
{p} [是|不_是] 一 [位|名] {d} {a} 的 {j} 。
{j} 们 [都|也] [想|要] {v} 这个 {o} 。
他 正在 研究 生命 的 [起源|意义] 。
[这_位|那_位] 研究生 正在 {v} {o} 。
研究 生活 中 的 {o} [需要|必须] {a} 。
{p} 和 尚未 [结婚|毕业] 的 {q} [一起|都] [来|去] 了 {l} 。
[庙|山] 里 的 和尚 {d} {a} 。
[他|她] 从 马上 [跳|摔] 下来 。
{j} 马上 [就|要] [去|到] {w} 。
[我们|他们] 要 [把|将] 才能 用 在 [工作|学习] 上 。
[只有|只要] {a} [才|就] 能 {v} {o} 。
[认真|努力] 学习 才能 [解决|了解] {o} 。
{t} 下雨 天 [没有|少有] [人|客人] 来 {w} 。
{p} 买 了 {n} [斤|个|箱] {f} ， [花|用] 了 {m} 元 。
{l} 的 {f} [很|不] 好吃 。
[中国|外国] 人民 [热爱|需要] 和平 。
[这|那] 是 国人 民族 [精神|意识] 的 [体现|表现] 。
从 小学 到 大学 ， {p} [一直|始终] {d} {a} 。
从小 学 [画|唱歌|游泳] 的 {p} {t} [来|去] 了 {l} 。
大学 生活 {d} [丰富|有趣] 。
大学生 [都|也] [来|去] {w} 看 {b} 。
{p} 把手 [放|伸] 在 桌子 上 。
[门|窗] 的 把手 坏 了 ， {j} {d} {a} 。
[市|县] 长江 大桥 {t} 通车 。
市长 {p} {t} [来|去] 了 {l} 。
{p} 的 确切 [地址|年龄] [没有|很_少] 人 知道 。
这 的确 是 {j} 的 {o} 。
[有|没有] 意见 分歧 的 {j} {t} 开会 {v} {o} 。
有意 [帮助|参加] 的 {j} [请|可以] 到 {w} 。
{j} 说 ： “ [我|我们] {t} [会|要] {v} {o} 。 ”
{p} 、 {q} [等|和] {n} [位|名] {j} [参加|出席] 了 [会议|比赛] 。
{l} {w} [有|来] 了 {m} 名 {j} 。
{n} 年 前 ， {p} [离开|回到] 了 {l} 。
白天 鹅 在 [湖|水] 里 [游|睡觉] 。
白天鹅 [飞|游] 过 [湖面|村子] 。
{t} 的 [天气|空气] {d} 好 ， 人们 [都|也] 在 {w} [散步|休息] 。
[发展|改变] 中 国家 的 {o} [需要|要] [时间|耐心] 。
中国 家庭 [喜欢|常] [吃|做] {f} 。
"""


def fill(template: str, rng: random.Random, part: int) -> list[str]:
    """The words of a sentence; `part` is 0 for names of train, 1 for those of the others."""
    words = re.sub(r"\[([^]]*)\]", lambda m: rng.choice(m[1].split("|")), template)
    return [fill_word(word, rng, part) for word in words.replace("_", " ").split(" ")]


def fill_word(word: str, rng: random.Random, part: int) -> str:
    if not word.startswith("{"):
        return word
    if word[1] in "pq":
        return rng.choice(SURNAMES) + name(rng, GIVEN, rng.choice((1, 2)), part)
    if word[1] == "l":
        return name(rng, PLACES, 2, part) + rng.choice(KINDS.split())
    if word[1] == "n":
        return rng.choice("一二三四五六七八九十")
    if word[1] == "m":
        return str(2 * rng.randint(5, 999) + part)
    return rng.choice(SLOTS[word[1]].split())


def name(rng: random.Random, letters: str, size: int, part: int) -> str:
    """Letters whose places add up to an even number for train, to an odd one for the others."""
    while True:
        places = [rng.randrange(len(letters)) for _ in range(size)]
        if sum(places) % 2 == part:
            return "".join(letters[place] for place in places)


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng = random.Random(1)
    templates, texts = TEMPLATES.strip().split("\n"), set()
    for split, size in SIZES.items():
        rows = []
        while len(rows) < size:
            words = fill(rng.choice(templates), rng, int(split != "train"))
            if "".join(words) not in texts:
                texts.add("".join(words))
                rows.append(" ".join(words) + "\n")
        with open(directory / f"{split}.txt", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(rows)


if __name__ == "__main__":
    main()
