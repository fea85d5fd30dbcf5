"""Make the Chinese sentences with names of persons, places and organisations: from templates.

All names are invented. Half of those in valid and test do not occur in train, and a fifth of the
templates does not. A place may be part of an organisation's name, and some persons and places have
names that are ordinary words. [a|b] is a choice, letters in braces are slots.

Command: python examples/datasets/entities/generate.py [DIRECTORY]
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

SIZES = {"train": 800, "valid": 100, "test": 150}
SHARES = {"train": 0.6, "valid": 0.15, "test": 0.25}  # of the names
SURNAMES = "赵钱孙李周吴郑王冯陈卫蒋沈韩杨朱秦许何吕张孔曹严金魏陶姜谢邹苏潘葛范彭鲁马方任袁高温"
GIVEN = (
    "伟 芳 娜 敏 静 强 磊 军 洋 勇 艳 杰 涛 明 超 建国 建华 志强 秀英 海燕 春梅 晓东 文博 子涵 "
    "雨桐 一鸣 思远 嘉怡 天佑 国庆 长江 黎明 远方 江南 小雨 立春 平安 大山 向阳 东升 如意 开心"
)
STEMS = (
    "青山 临江 白河 石桥 东湖 南岭 云台 平安 海州 北原 清泉 金沙 柳林 龙门 松江 新港 红星 长岭 "
    "花溪 双塔 古田 和平 大明 三元 沙井 五里 桃源 幸福 太平 团结 西岭 宝山 丰收 "
    "向阳 南屏 月亮 石门 铁山"
)
PLACES = "市 县 镇 区 村 省 州 岛 湖 山 路 街 河 湾"
BRANDS = "远景 华光 宏达 天元 三友 金桥 新月 百川 启明 鼎盛 瑞丰 星海 长青 联众 东方 飞跃 大江 未来"
FIRMS = "科技 实业 食品 医药 汽车 电子 物流 软件 建筑 传媒 能源 纺织"
TYPES = "公司 集团 有限公司 股份公司"
BRANCHES = (
    "第一中学 实验小学 人民医院 教育局 公安局 图书馆 农业大学 师范学院 银行 晚报社 法院 交通局 "
    "篮球队 足球俱乐部 博物馆 商会"
)
TEMPLATES = """
{p}[昨天|今天|日前|上周]在{l}[接受了采访|发表讲话|参加会议]。
{o}[总经理|负责人|发言人]{p}[表示|介绍|认为]，[今年的情况比去年好|计划已经完成]。
[记者|本报记者]从{o}[获悉|了解到]，{l}的[工程|道路]已经[开工|完工]。
{l}[发生|出现][暴雨|大雾]，{o}[派出|组织]{n}名工作人员[赶往|前往]{m}。
{p}和{q}[一起|同时]来到{l}，[看望|慰问]了{o}的职工。
{o}与{r}[签订了合作协议|共同举办了这次活动]。
[出生|成长]在{l}的{p}，[三|五|十]年前[加入|进入]了{o}。
{p}：[请问|那么]，{q}[为什么没有来|什么时候回来]？
[据{o}统计|{o}的数据显示]，{l}有{n}万人[从事这一行业|受到影响]。
{l}至{m}的[班车|航班]将于[下月|明天]开通。
[青年作家|著名画家|退休教师]{p}[把新书|把作品]捐给了{o}。
{o}[录用|招收]了{n}名[大学生|新员工]，其中[包括|有]{p}。
[去年|前年]，{p}离开{o}，[回到|搬到]家乡{l}[生活|创业]。
[警方|检方]说，{p}[涉嫌|因]{r}的一起案件[被带走调查|接受询问]。
[在{l}的比赛中|昨晚]，{o}以{n}分之差[击败|负于]{r}。
{p}是{o}的[董事长|院长|教练]，[曾在|早年在]{l}工作。
[这家饭馆|这座桥]在{l}，离{o}[很近|不远]。
[平安是福|幸福来之不易|丰收在望]，{p}[常常这样说|写道]。
[和平与发展是时代的主题|团结就是力量]，{o}的{p}[在会上说|最后说]。
[东方刚刚发亮|黎明时分]，{p}就[出发去了|离开了]{l}。
[未来三天|明天]，{l}[有小雨|以晴天为主]，{m}[有大风|气温下降]。
{l}人{p}[获得|拿到]了{o}颁发的[奖金|证书]。
[受{o}邀请|应{o}之邀]，{p}、{q}[访问了|到访]{l}。
{o}[位于|坐落在]{l}，[创办|成立]于[上世纪|{n}年前]。
[听说|据说]{p}要[来|去]{l}，{q}[高兴极了|有些担心]。
[我们大家|同学们]都[喜欢|想念]{p}[老师|教授|同学]。
[从{l}出发|由{l}向北]，[经过|途经]{m}，[两天|三小时]后就能[到达|看见]目的地。
[经理|主任|医生]{p}[下午|明早]要去{o}[开会|办事]。
{o}[今天宣布|发布公告称]，{p}[辞去|担任][总裁|主席]一职。
[小雨|大雾]过后，{l}的[空气|景色][格外清新|非常好]。
[国庆期间|立春以后]，{l}[接待|来了]游客{n}万人，{o}[增派了人手|延长了时间]。
{p}[写信给|打电话给]{o}，[反映|询问]{l}的[交通|污染]问题。
[有人|一位读者]问{p}，{l}[究竟|到底]在哪里。
[新任|前任][县长|校长]{p}[主持|出席]了{o}的[开幕式|年会]。
"""


def names(rng: random.Random) -> dict[str, dict[str, list[str]]]:
    """split -> kind -> names."""
    stems, branches = STEMS.split(), BRANCHES.split()
    places = [stem + kind for stem in stems for kind in PLACES.split()]
    pools = {
        "人名": [a + b for a in SURNAMES for b in GIVEN.split()],
        "地名": places + stems,
        "机构": [b + f + t for b in BRANDS.split() for f in FIRMS.split() for t in TYPES.split()]
        + [b + f for b in BRANDS.split() for f in FIRMS.split()]
        + [place + b for place in places if place[-1] in "市县区镇" for b in branches],
    }
    found: dict[str, dict[str, list[str]]] = {split: {} for split in SIZES}
    for kind, pool in pools.items():
        # As many of each as make some occur often and others once.
        pool, start = rng.sample(pool, min(len(pool), 420)), 0
        for split, share in SHARES.items():
            end = start + round(share * len(pool))
            found[split][kind], start = pool[start:end], end
    return found


def fill(template: str, pools: list[dict[str, list[str]]], rng: random.Random) -> dict:
    """A text and its entities, [start, end) in characters; a name is of any of the pools."""
    template = re.sub(r"\[([^]]*)\]", lambda m: rng.choice(m[1].split("|")), template)
    slots = {"p": "人名", "q": "人名", "l": "地名", "m": "地名", "o": "机构", "r": "机构"}
    used, text, entities = set(), "", []
    for part in re.split(r"({.})", template):
        if part == "{n}":
            part = rng.choice("二三四五六七八九十")
        elif part.startswith("{"):
            kind = slots[part[1]]
            part = rng.choice([n for n in rng.choice(pools)[kind] if n not in used])
            used.add(part)
            entities.append([len(text), len(text) + len(part), kind])
        text += part
    return {"text": text, "entities": entities}


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng = random.Random(1)
    pools, templates = names(rng), TEMPLATES.split()
    rng.shuffle(templates)
    seen = templates[len(templates) // 5 :]
    texts: set[str] = set()
    for split, size in SIZES.items():
        rows, known = [], [pools["train"]] if split == "train" else [pools["train"], pools[split]]
        while len(rows) < size:
            row = fill(rng.choice(seen if split == "train" else templates), known, rng)
            if row["text"] not in texts:
                texts.add(row["text"])
                rows.append(json.dumps(row, ensure_ascii=False) + "\n")
        with open(directory / f"{split}.json", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(rows)


if __name__ == "__main__":
    main()
