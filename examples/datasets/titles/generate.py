"""Make the short news with titles: templates in Chinese, filled at random.

An event has a title and the sentence that tells it; around that stand sentences of background, in
any order, so that the first sentence is often not what the title is about. [a|b] is a choice, the
letters in braces are slots. No text and no title occurs twice.

Command: python examples/datasets/titles/generate.py [DIRECTORY]
"""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

SIZES = {"train": 1000, "valid": 80, "test": 120}
SLOTS = {
    "p": "青山县 临江市 白河镇 石桥镇 东湖区 南岭市 云台县 平安村 海州市 北原市 清泉县 金沙区 "
    "柳林镇 龙门县 松江市 新港区 安平县 红星村 长岭市 花溪区",
    "s": "第一中学 第二小学 实验小学 育才中学 师范学院 理工大学 农业大学 职业学校",
    "t": "猛虎队 飞鹰队 海豚队 雪狼队 蓝星队 巨浪队 金龙队 烈火队",
    "f": "图书馆 体育馆 博物馆 科技馆 文化宫 游泳馆 美术馆 少年宫",
    "r": "苹果 西瓜 大蒜 茶叶 土豆 葡萄 番茄 蜜桔",
    "w": "暴雨 大风 高温 大雾 寒潮 暴雪 雷电 冰雹",
    "c": "橙色 黄色 蓝色 红色",
    "o": "地铁三号线 跨江大桥 环城公路 高速铁路 机场快线 过江隧道 货运码头 城南车站",
    "a": "书法展 摄影展 菊花展 车展 邮票展 陶瓷展 剪纸展 机器人展",
    "g": "足球赛 篮球赛 乒乓球赛 羽毛球赛 象棋赛 马拉松 龙舟赛 排球赛",
    "d": "水务局 教育局 交通局 气象台 文化局 农业局 卫生局 消防队",
}
EVENTS = [
    ("{p}新建{f}[今日|]开放", "{p}新建的{f}[今天|昨天]正式向市民[免费|]开放"),
    ("{p}发布{w}{c}预警", "{p}气象台[今天|今晨|昨晚]发布了{w}{c}预警信号"),
    ("{p}{o}[开工|动工]建设", "[经过三年筹备|资金已经到位]，{p}的{o}[日前|今天]开工建设"),
    ("{p}{o}[建成|]通车", "[历时{n}年|历经{n}年施工]，连接城乡的{p}{o}[终于|今天]建成通车"),
    ("{p}{r}[喜获|]丰收", "[由于雨水充足|今年风调雨顺]，{p}的{r}获得丰收，产量增加{n}成"),
    ("{p}{r}滞销[农户发愁|]", "{p}的{r}今年卖不出去，[许多|不少]农户正在为销路发愁"),
    ("{r}价格上涨{n}成", "{p}各大市场的{r}价格[连续走高|一路上涨]，比上月涨了{n}成"),
    ("{r}价格下跌{n}成", "{p}各大市场的{r}价格[连续走低|一路下滑]，比上月跌了{n}成"),
    ("{t}[主场|客场]击败{u}", "在{p}举行的比赛中，{t}以{n}比一[击败|战胜]了{u}"),
    ("{t}不敌{u}", "在{p}举行的比赛中，{t}以一比{n}输给了{u}"),
    ("{t}与{u}战平", "{t}和{u}在{p}的比赛中[踢成|打成]平局，双方各得一分"),
    ("{p}{g}[落幕|结束]{t}夺冠", "{p}的{g}昨天结束，{t}[夺得冠军|捧起奖杯]"),
    ("{p}{g}[明日|]开赛", "一年一度的{g}将于[明天|本周六]在{p}开赛，{n}支队伍参加"),
    ("{p}{a}开幕", "{n}位名家参加的{a}[今天|昨天]在{p}开幕，展期{n}周"),
    ("{p}{a}吸引游客", "{p}的{a}吸引了大批游客，[单日人数|每天参观者]超过{n}千人"),
    ("{p}{s}[迎来|举行]校庆", "{p}{s}[昨天|今天]举行校庆，{n}百名校友回到母校"),
    ("{p}{s}学生[获奖|夺金]", "{p}{s}的{n}名学生在全国竞赛中获得金奖"),
    ("{p}{s}[停课|放假]{n}天", "[受{w}影响|由于{w}来袭]，{p}{s}决定停课{n}天"),
    ("{p}{w}致航班延误", "[突如其来|持续不断]的{w}使{p}机场的{n}个航班延误"),
    ("{p}{f}闭馆[维修|改造]", "因设备老化，{p}{f}将闭馆{n}个月进行[维修|改造]"),
    ("{p}{d}[招聘|招收]{n}人", "{p}{d}面向社会公开招聘工作人员，共{n}个岗位"),
    ("{p}{d}开通热线", "{p}{d}[开通了|设立了]服务热线，市民可以随时[反映问题|咨询]"),
    ("{p}{f}[失火|起火]无人伤亡", "{p}{f}[昨晚|今晨]起火，{n}辆消防车赶到，没有人员伤亡"),
    ("{p}{o}施工[绕行|封路]{n}天", "因{o}施工，{p}部分道路封闭{n}天，车辆需要绕行"),
]
BACKGROUND = [
    "[记者|本报记者]从{d}了解到这一消息",
    "[当地|不少]居民对此表示[欢迎|关注]",
    "相关部门正在[做好|加强]后续工作",
    "去年同期的情况[与此不同|大致相同]",
    "{d}提醒市民[注意安全|合理安排时间]",
    "[专家|业内人士]认为这将带来长远影响",
    "这在{q}尚属首次",
    "[网友|市民]对此议论纷纷",
    "[一位老人|一名学生]说，等这一天很久了",
    "{q}也有类似的情况",
    "据介绍，{q}的代表也来到现场",
    "预计影响将持续{n}天",
    "负责人没有透露更多[细节|消息]",
    "[周末|昨天]的天气十分[晴朗|闷热]",
    "近年来当地发展很快",
    "往年这个时候{q}的{r}刚刚上市",
    "不久前{q}举办过{a}",
]


def item(rng: random.Random) -> tuple[str, str]:
    """A title and a text."""
    title, told = rng.choice(EVENTS)
    around = rng.sample(BACKGROUND, rng.randint(1, 2))
    words = {name: rng.choice(values.split()) for name, values in SLOTS.items()}
    words["u"] = rng.choice([t for t in SLOTS["t"].split() if t != words["t"]])
    words["q"] = rng.choice([p for p in SLOTS["p"].split() if p != words["p"]])
    words["n"] = rng.choice("三四五六七八九")
    sentences = [told, *around]
    rng.shuffle(sentences)

    def filled(text):
        text = re.sub(r"\[([^]]*)\]", lambda m: rng.choice(m[1].split("|")), text)
        return re.sub(r"{(.)}", lambda m: words[m[1]], text)

    return filled(title), filled("。".join(sentences) + "。")


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng, rows = random.Random(1), {}
    while len(rows) < sum(SIZES.values()):
        rows.setdefault(*item(rng))
    lines = iter([f"{title}\t{text}\n" for title, text in rows.items()])
    for split, size in SIZES.items():
        with open(directory / f"{split}.tsv", "w", encoding="utf-8", newline="\n") as file:
            file.writelines(next(lines) for _ in range(size))


if __name__ == "__main__":
    main()
