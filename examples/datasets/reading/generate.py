"""Make the passages with questions: templates in Chinese, filled at random, as SQuAD 2.0 json.

A passage tells some of the facts of its kind, in any order behind the first. Each fact may be asked
for; what a passage leaves out makes the questions that it cannot answer. [a|b] is a choice, {P0} is
a slot: the letter is a type of value, the number tells values of one passage apart. Names of
people, places, firms, schools, teams and works of one split occur in no other.

Command: python examples/datasets/reading/generate.py [DIRECTORY]
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path

SIZES = {"train": 400, "valid": 60, "test": 100}
SHORTEST, LONGEST = 60, 150  # characters of a passage
UNANSWERABLE = 0.15

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN = "明华建国文志伟海平春秋梅兰雪云天宇子涵思远庆安宁静玉清峰"
EARTH = "青白金石临长龙东南北新清安云松柳花红河山江湖桥岭海泉门原沙台溪港"
LUCKY = "宏远华星天成恒通瑞丰永兴博达光明万和"
WORDS = "秋夜长风春归雨声远山星河旧梦灯火故乡月下归途海边晨光"
MAKERS = {  # what a letter stands for, made of characters that all splits have
    "P": lambda draw: draw(SURNAMES) + draw(GIVEN) + draw([*GIVEN, ""]),
    "L": lambda draw: draw(EARTH) + draw(EARTH) + draw("县市镇区"),
    "C": lambda draw: draw(LUCKY) + draw(LUCKY) + draw("电子 食品 机械 纺织 医药".split()) + "公司",
    "S": lambda draw: draw(EARTH) + draw(EARTH) + draw("大学 师范学院 中学 职业学校".split()),
    "T": lambda draw: draw("飞猛雪蓝金烈银黑") + draw("虎鹰豚狼星龙火豹马鲸") + "队",
    "W": lambda draw: "《" + "".join(draw(WORDS) for _ in range(3)) + "》",
    "Y": lambda draw: str(draw(range(1901, 2021))) + "年",
    "D": lambda draw: f"{draw(range(1, 13))}月{draw(range(1, 29))}日",
    "N": lambda draw: str(draw(range(12, 980))),
    "J": lambda draw: draw("作家 画家 医生 教师 工程师 记者 演员 律师 厨师 歌手 农学家".split()),
    "H": lambda draw: draw("下棋 钓鱼 书法 摄影 爬山 游泳 唱戏 种花 集邮 跑步 养鸟 打牌".split()),
    "A": lambda draw: draw("金叶奖 长城奖 星光奖 劳动奖章 科技进步奖 青年文学奖 白鹤奖".split()),
    "G": lambda draw: draw("苹果 茶叶 大蒜 葡萄 瓷器 丝绸 竹席 蜂蜜 核桃 木雕 陈醋 腊肉".split()),
    "M": lambda draw: draw("足球 篮球 排球 乒乓球 羽毛球 象棋 围棋 龙舟".split()),
}
OWNED = "PLCSTW"  # types whose values belong to one split

# Kind: facts, the first of which stands first: a sentence, and for slots of it the questions.
KINDS = {
    "人物": [
        ("{P0}是[一位|著名]{J0}", {"J0": "{P0}[是做什么的|的职业是什么]？"}),
        ("[{P0}|]{Y0}[出生于|生于]{L0}", {
            "Y0": "{P0}[是哪一年出生的|生于哪一年]？", "L0": "{P0}[出生在哪里|的出生地是哪里]？"}),
        ("[{P0}|]{Y1}[考入|进入]{S0}学习", {
            "Y1": "{P0}[哪一年开始上学|是哪一年入学的]？",
            "S0": "{P0}[在哪所学校读书|上的是什么学校]？"}),
        ("[毕业后|后来]到{C0}工作", {"C0": "{P0}[在哪家公司工作|工作的公司叫什么]？"}),
        ("[曾经|]跟随{P1}学习[多年|三年]", {"P1": "{P0}的老师是谁？"}),
        ("[与|和]{P2}结婚，住在{L1}", {
            "P2": "{P0}和谁[结了婚|成家]？", "L1": "{P0}[的家在哪里|婚后住在哪里]？"}),
        ("{Y2}[写成|出版]{W0}", {
            "Y2": "{W0}是哪一年[问世|写出来]的？", "W0": "{P0}[写了哪本书|的作品是什么]？"}),
        ("{Y3}[荣获|获得]{A0}", {
            "Y3": "{P0}[哪一年得奖|是哪一年获奖的]？", "A0": "{P0}得过什么奖？"}),
        ("[平时|业余]喜欢{H0}", {"H0": "{P0}[的爱好是什么|有什么爱好]？"}),
        ("{Y4}在{L2}[去世|病逝]", {
            "Y4": "{P0}[哪一年去世|是哪一年离世的]？", "L2": "{P0}[在哪里去世|是在哪里离世的]？"}),
    ],
    "朋友": [
        ("{P0}和{P1}是[同学|邻居|好友]", {}),
        ("{P0}[出生于|生于]{L0}，{P1}[出生于|生于]{L1}", {
            "L0": "{P0}[出生在哪里|的出生地是哪里]？", "L1": "{P1}[出生在哪里|的出生地是哪里]？"}),
        ("{P0}是{J0}，{P1}是{J1}", {
            "J0": "{P0}[是做什么的|的职业是什么]？", "J1": "{P1}[是做什么的|的职业是什么]？"}),
        ("{P0}喜欢{H0}，{P1}喜欢{H1}", {
            "H0": "{P0}[的爱好是什么|有什么爱好]？", "H1": "{P1}[的爱好是什么|有什么爱好]？"}),
        ("{P0}在{C0}工作，{P1}在{C1}工作", {
            "C0": "{P0}[在哪家公司工作|工作的公司叫什么]？",
            "C1": "{P1}[在哪家公司工作|工作的公司叫什么]？"}),
        ("{P0}{Y0}结婚，{P1}{Y1}结婚", {
            "Y0": "{P0}哪一年[结的婚|成家]？", "Y1": "{P1}哪一年[结的婚|成家]？"}),
    ],
    "公司": [
        ("{C0}[位于|总部设在]{L0}", {"L0": "{C0}[在哪里|的总部在哪里]？"}),
        ("[公司|企业]由{P0}于{Y0}[创办|创立]", {
            "P0": "{C0}[是谁创办的|的创始人是谁]？", "Y0": "{C0}[是哪一年创办的|成立于哪一年]？"}),
        ("[现任|]经理[是|为]{P1}", {"P1": "{C0}的经理是谁？"}),
        ("[现有|共有]员工{N0}人", {"N0": "{C0}[有多少员工|有多少人]？"}),
        ("{Y1}在{L1}[建成|开设]分厂", {
            "Y1": "{C0}的分厂是哪一年建的？", "L1": "{C0}的分厂[在哪里|建在什么地方]？"}),
        ("{Y2}[收购|并购]了{C1}", {
            "Y2": "{C0}[哪一年收购了别的公司|的收购发生在哪一年]？",
            "C1": "{C0}[收购了哪家公司|买下了哪家公司]？"}),
        ("去年[盈利|利润]{N1}万元", {"N1": "{C0}去年[赚了多少万元|的利润是多少万元]？"}),
        ("[主要|]生产{G0}", {"G0": "{C0}[生产什么|的产品是什么]？"}),
        ("{Y3}[荣获|获得]{A0}", {
            "Y3": "{C0}[哪一年得奖|是哪一年获奖的]？", "A0": "{C0}得过什么奖？"}),
    ],
    "地方": [
        ("{L0}[属于|隶属于]{L1}", {"L1": "{L0}[属于哪里|归哪里管辖]？"}),
        ("[全境|]人口{N0}万", {"N0": "{L0}[有多少万人|的人口是多少万]？"}),
        ("[东面|东边]与{L2}相邻", {"L2": "{L0}的东面是哪里？"}),
        ("[西面|西边]与{L3}相邻", {"L3": "{L0}的西面是哪里？"}),
        ("[盛产|特产是]{G0}", {"G0": "{L0}的特产是什么？"}),
        ("{Y0}[设立|建制]", {"Y0": "{L0}[是哪一年设立的|设立于哪一年]？"}),
        ("{Y1}通了铁路", {"Y1": "{L0}[哪一年通了火车|的铁路是哪一年通的]？"}),
        ("{J0}{P0}[出生|生长]在这里", {"P0": "{L0}出了哪位名人？"}),
        ("[境内|当地]有{S0}", {"S0": "{L0}有什么学校？"}),
        ("[最大的|]企业是{C0}", {"C0": "{L0}有什么企业？"}),
        ("[最高峰|主峰]海拔{N1}米", {"N1": "{L0}的山有多高？"}),
    ],
    "比赛": [
        ("{Y0}的{M0}赛在{L0}举行", {
            "Y0": "{L0}的比赛是哪一年举行的？", "L0": "{M0}赛在哪里举行？"}),
        ("比赛[从|于]{D0}开始", {"D0": "{M0}赛[哪天开始|从哪一天开始]？"}),
        ("决赛在{D1}[进行|举行]", {"D1": "{M0}赛的决赛[在哪一天|是哪天]？"}),
        ("{T0}[夺得|获得]冠军", {"T0": "{M0}赛[的冠军是谁|谁得了第一]？"}),
        ("{T1}[夺得|获得]亚军", {"T1": "{M0}赛[的亚军是谁|谁得了第二]？"}),
        ("{T2}[名列|排在]最后", {"T2": "{M0}赛谁得了倒数第一？"}),
        ("[最佳运动员|最佳选手]是{P0}", {"P0": "{M0}赛谁表现最好？"}),
        ("[裁判长|主裁判]是{P1}", {"P1": "{M0}赛[的裁判是谁|由谁执法]？"}),
        ("[共有|]{N0}名选手[参加|参赛]", {"N0": "{M0}赛[有多少选手|有多少人参加]？"}),
        ("[现场|]观众{N1}人", {"N1": "{M0}赛有多少观众？"}),
        ("[由|]{C0}[赞助|出资]", {"C0": "{M0}赛[是谁赞助的|的赞助商是谁]？"}),
    ],
    "学校": [
        ("{S0}[位于|坐落在]{L0}", {"L0": "{S0}在[哪里|什么地方]？"}),
        ("{Y0}由{P0}[创办|创建]", {
            "Y0": "{S0}[是哪一年创办的|成立于哪一年]？", "P0": "{S0}[是谁创办的|的创始人是谁]？"}),
        ("[现任|]校长[是|为]{P1}", {"P1": "{S0}的校长是谁？"}),
        ("[在校|共有]学生{N0}人", {"N0": "{S0}有多少学生？"}),
        ("[现有|]教师{N1}人", {"N1": "{S0}有多少[老师|教师]？"}),
        ("{Y1}迁[到|往]{L1}", {
            "Y1": "{S0}是哪一年[搬家|搬迁]的？", "L1": "{S0}[搬到了哪里|的新校址在哪里]？"}),
        ("{Y2}与{S1}合并", {
            "Y2": "{S0}是哪一年合并的？", "S1": "{S0}和哪所学校合并？"}),
        ("校队[名叫|叫]{T0}", {"T0": "{S0}的校队叫什么？"}),
        ("{J0}{P2}[曾在|在]这里读书", {"P2": "{S0}有哪位[校友|毕业生]？"}),
    ],
    "作品": [
        ("{W0}是[一部|]{J0}{P0}的作品", {
            "P0": "{W0}[是谁写的|的作者是谁]？", "J0": "{W0}的作者是做什么的？"}),
        ("{Y0}[写成|完稿]于{L0}", {
            "Y0": "{W0}[是哪一年写的|写于哪一年]？", "L0": "{W0}[是在哪里写的|写于什么地方]？"}),
        ("{Y1}由{C0}[改编|拍]成电影", {
            "Y1": "{W0}[哪一年拍成电影|的电影是哪一年拍的]？", "C0": "{W0}的电影是哪家公司拍的？"}),
        ("[导演|影片导演]是{P1}", {"P1": "{W0}的电影[导演是谁|由谁导演]？"}),
        ("[全书|]共{N0}页", {"N0": "{W0}有多少页？"}),
        ("[首印|第一版印了]{N1}册", {"N1": "{W0}第一版[印了多少|有多少本]？"}),
        ("{Y2}[荣获|获得]{A0}", {
            "Y2": "{W0}[哪一年得奖|是哪一年获奖的]？", "A0": "{W0}得过什么奖？"}),
        ("[主人公|主角]名叫{P2}", {"P2": "{W0}的主人公是谁？"}),
        ("[续集|续篇]是{W1}", {"W1": "{W0}的续集叫什么？"}),
        ("[由|]{P3}译成英文", {"P3": "{W0}[是谁翻译的|的译者是谁]？"}),
    ],
}  # fmt: skip


class Author:
    """Writes the passages of one split.

    Args:
        split: its name.
        owners: of values of owned types the split that has them; shared by all authors.
    """

    def __init__(self, split: str, owners: dict[str, str], rng: random.Random):
        self.split, self.owners, self.rng = split, owners, rng

    def values(self, facts: list) -> dict[str, str]:
        """A value for every slot of a kind, no two alike; years rise with their number."""
        names = sorted(set(re.findall(r"{(.\d)}", str(facts))))
        found: dict[str, str] = {}
        for name in names:
            while name not in found:
                value = MAKERS[name[0]](self.rng.choice)
                mine = name[0] not in OWNED or self.owner(value) == self.split
                if mine and value not in found.values():
                    found[name] = value
        years = [name for name in names if name[0] == "Y"]
        return found | dict(zip(years, sorted(found[name] for name in years), strict=True))

    def owner(self, value: str) -> str:
        """The split that a value belongs to, drawn when it first comes up."""
        drawn = self.rng.choices(list(SIZES), SIZES.values())[0]
        return self.owners.setdefault(value, drawn)

    def spelled(self, template: str) -> str:
        """A template with its choices made."""
        return re.sub(r"\[([^]]*)\]", lambda m: self.rng.choice(m[1].split("|")), template)

    def passage(self, kind: str) -> dict:
        """Context and questions of a kind, without ids."""
        first, *others = KINDS[kind]
        values = self.values(KINDS[kind])
        told = [first, *self.rng.sample(others, self.rng.randint(4, min(7, len(others))))]
        context, known, unknown = "", [], []
        for sentence, questions in told:
            for part in re.split(r"({.\d})", self.spelled(sentence)):
                slot = part.strip("{}")
                if part != slot and slot in questions:
                    known.append((questions[slot], values[slot], len(context)))
                context += values[slot] if part != slot else part
            context += "。"
        for _, questions in (fact for fact in others if fact not in told):
            unknown += [(question, "", -1) for question in questions.values()]
        asked = self.rng.sample(known, min(self.rng.randint(3, 4), len(known)))
        for place in range(len(asked)):
            if unknown and self.rng.random() < UNANSWERABLE:
                asked[place] = unknown.pop(self.rng.randrange(len(unknown)))
        return {"context": context, "qas": [self.asked(*item, values) for item in asked]}

    def asked(self, question: str, answer: str, start: int, values: dict[str, str]) -> dict:
        """A question as SQuAD 2.0 has it."""
        text = re.sub(r"{(.\d)}", lambda m: values[m[1]], self.spelled(question))
        answers = [{"text": answer, "answer_start": start}] if answer else []
        return {"question": text, "id": "", "answers": answers, "is_impossible": not answers}

    def articles(self, size: int) -> list[dict]:
        """`size` passages, by kind."""
        found: dict[str, dict] = {}
        while len(found) < size:
            kind = list(KINDS)[len(found) % len(KINDS)]
            made = self.passage(kind)
            if SHORTEST <= len(made["context"]) <= LONGEST:
                found.setdefault(made["context"], made)
        for number, made in enumerate(found.values()):
            for place, question in enumerate(made["qas"]):
                question["id"] = f"{self.split}-{number}-{place}"
        kinds = list(enumerate(KINDS))
        passages = list(found.values())
        return [{"title": kind, "paragraphs": passages[i :: len(KINDS)]} for i, kind in kinds]


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    rng, owners = random.Random(1), {}
    for split, size in SIZES.items():
        data = {"version": "v2.0", "data": Author(split, owners, rng).articles(size)}
        text = json.dumps(data, ensure_ascii=False).replace('{"context"', '\n{"context"')
        with open(directory / f"{split}.json", "w", encoding="utf-8", newline="\n") as file:
            file.write(text + "\n")


if __name__ == "__main__":
    main()
