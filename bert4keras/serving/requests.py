"""Bodies of requests: which fields a kind of task takes, and the samples that they make."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .. import tasks
from ..generation import Sample
from ..tasks.base import Task
from ..tasks.generation.settings import STRATEGIES
from ..tasks.similarity.prompts import Prompted
from ..tasks.sql import Table

_Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
_Cell = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a request; its samples share batches with those of requests with equal ones.

    Attributes:
        values: (name, value) of arguments of `predict`.
        apart: anything that is equal to itself only, for samples that share no batch.
    """

    values: tuple[tuple[str, Any], ...] = ()
    apart: object = None


NO_OPTIONS = Options()


class Body(BaseModel):
    """Base of the bodies: unknown fields are refused, types are not converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskBody(Body):
    """Body of a route of a task: one sample, or a list of them.

    A subclass names the two fields, and overrides `sample` if a sample of the task is no text.
    """

    one: ClassVar[str] = "text"
    many: ClassVar[str] = "texts"

    @model_validator(mode="after")
    def _one_or_many(self) -> TaskBody:
        given = [name for name in (self.one, self.many) if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give either {self.one!r} or {self.many!r}")
        return self

    @property
    def is_list(self) -> bool:
        """True if the request has a list of samples, so that a list is the answer."""
        return getattr(self, self.many) is not None

    def samples(self, task: Task) -> list[Any]:
        """Return the samples, as the task takes them.

        Raises:
            ValueError: one makes no sense to the task.
        """
        values = getattr(self, self.many) if self.is_list else [self]
        return [self.sample(value, task) for value in values]

    def sample(self, value: object, task: Task) -> Any:
        """Return a sample: from an element of the list, or from the body itself."""
        return getattr(value, self.one) if isinstance(value, TaskBody) else value

    def options(self, task: Task) -> Options:
        """Return the options of the request."""
        return NO_OPTIONS

    @classmethod
    def example(cls, text: str, task: Task) -> Any:
        """Return a sample that is made of a text, to warm the model up."""
        return text


class TextBody(TaskBody):
    """A text, or several."""

    text: str | None = Field(None, examples=["王小明去了北京。"])
    texts: list[str] | None = None

    @classmethod
    def example(cls, text: str, task: Task) -> Any:
        return f"[MASK] {text}" if isinstance(task, tasks.FillMask) else text


class ClassifierBody(TaskBody):
    """A text or a pair of texts, or several of them."""

    text: str | None = Field(None, examples=["Very good."])
    second: str | None = Field(None, description="second text of a pair")
    texts: list[str | _Pair] | None = Field(None, description="texts, or pairs [first, second]")

    @model_validator(mode="after")
    def _second_has_a_first(self) -> ClassifierBody:
        if self.second is not None and self.text is None:
            raise ValueError("'second' belongs to 'text'; in 'texts' a pair is [first, second]")
        return self

    def sample(self, value: object, task: Task) -> Any:
        if isinstance(value, ClassifierBody):
            return value.text if value.second is None else (value.text, value.second)
        return tuple(value) if isinstance(value, list) else value


class EncoderBody(TextBody):
    """A text, or several, and the prompt before them."""

    prompt: str | None = Field(None, description="name of a prompt; null: the default one")

    def samples(self, task: Task) -> list[Any]:
        assert isinstance(task, tasks.SentenceEncoder)
        # The prompt is in the samples, so that texts with different prompts share a batch.
        before = task.prompt_text(self.prompt)
        return [Prompted(text, before) for text in super().samples(task)]


class AskedPassage(Body):
    """A question and what to read for its answer."""

    question: str = Field(examples=["Who wrote it?"])
    passage: str | None = Field(None, examples=["Ann Lee wrote it in 1901."])
    passages: list[str] | None = Field(None, min_length=1)

    @model_validator(mode="after")
    def _passage_or_passages(self) -> AskedPassage:
        if (self.passage is None) == (self.passages is None):
            raise ValueError("give either 'passage' or 'passages'")
        return self


class QABody(TaskBody):
    """A question with a passage or several, or several questions."""

    one: ClassVar[str] = "question"
    many: ClassVar[str] = "questions"
    question: str | None = Field(None, examples=["Who wrote it?"])
    passage: str | None = Field(None, examples=["Ann Lee wrote it in 1901."])
    passages: list[str] | None = Field(None, min_length=1)
    questions: list[AskedPassage] | None = None

    @model_validator(mode="after")
    def _passages_of_the_question(self) -> QABody:
        count = (self.passage is not None) + (self.passages is not None)
        if count != (self.question is not None):
            raise ValueError("'question' needs either 'passage' or 'passages'")
        return self

    def sample(self, value: object, task: Task) -> Any:
        assert isinstance(value, (QABody, AskedPassage))
        return value.question, value.passage if value.passages is None else value.passages

    @classmethod
    def example(cls, text: str, task: Task) -> Any:
        return text, text


class TableBody(Body):
    """A table: names of the columns, and rows of cells."""

    header: list[str] = Field(min_length=1, examples=[["city", "people"]])
    rows: list[list[_Cell]] = Field([], examples=[[["Lisbon", 545], ["Porto", 232]]])
    types: list[Literal["text", "real"]] = []
    name: str = "table"

    def table(self) -> Table:
        """Return the table; a ValueError says what is wrong with it."""
        rows = tuple(map(tuple, self.rows))
        return Table(tuple(self.header), rows, tuple(self.types), self.name)


class AskedTable(Body):
    """A question and its table."""

    question: str
    table: TableBody


class TableQABody(TaskBody):
    """A question about a table, or several."""

    one: ClassVar[str] = "question"
    many: ClassVar[str] = "questions"
    question: str | None = Field(None, examples=["people of Porto?"])
    table: TableBody | None = None
    questions: list[AskedTable] | None = None

    @model_validator(mode="after")
    def _table_of_the_question(self) -> TableQABody:
        if (self.question is None) != (self.table is None):
            raise ValueError("'question' and 'table' belong together")
        return self

    def sample(self, value: object, task: Task) -> Any:
        assert isinstance(value, (TableQABody, AskedTable))
        return value.question, value.table.table()

    @classmethod
    def example(cls, text: str, task: Task) -> Any:
        return text, Table((text, "n"), ((text, 1),))


class RankedTexts(Body):
    """A query and the texts to rank for it."""

    query: str
    documents: list[str] = Field(min_length=1)


class RerankerBody(TaskBody):
    """A query and the texts to rank for it, or several; see also /v1/rerank."""

    one: ClassVar[str] = "query"
    many: ClassVar[str] = "queries"
    query: str | None = Field(None, examples=["Who?"])
    documents: list[str] | None = Field(None, min_length=1, examples=[["It was me.", "It rains."]])
    queries: list[RankedTexts] | None = None

    @model_validator(mode="after")
    def _documents_of_the_query(self) -> RerankerBody:
        if (self.query is None) != (self.documents is None):
            raise ValueError("'query' and 'documents' belong together")
        return self

    def sample(self, value: object, task: Task) -> Any:
        assert isinstance(value, (RerankerBody, RankedTexts))
        return value.query, value.documents

    @classmethod
    def example(cls, text: str, task: Task) -> Any:
        return text, [text]


class StrategyBody(Body):
    """Strategy that chooses the next token."""

    name: Literal["Greedy", "Sample", "BeamSearch"]
    temperature: float | None = Field(None, gt=0)
    top_k: int | None = Field(None, ge=1)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    beams: int | None = Field(None, ge=1, le=16)
    length_penalty: float | None = None
    n: int | None = Field(None, ge=1, le=16)

    def strategy(self) -> Any:
        """Return the strategy; a ValueError names fields that it does not have."""
        fields = self.model_dump(exclude={"name"}, exclude_none=True)
        try:
            return STRATEGIES[self.name](**fields)
        except TypeError:
            raise ValueError(f"{self.name} does not have all of {', '.join(fields)}") from None


class GeneratorPrompt(Body):
    """A prompt of several parts."""

    prompt: str
    second: str | None = None
    condition: str | None = None


class GeneratorBody(TaskBody):
    """A prompt, or several, and how to answer."""

    one: ClassVar[str] = "prompt"
    many: ClassVar[str] = "prompts"
    prompt: str | None = Field(None, examples=["It is"])
    second: str | None = Field(None, description="second text of a pair")
    condition: str | None = Field(None, description="condition, for a model that has some")
    prompts: list[str | GeneratorPrompt] | None = None
    max_new_tokens: int | None = Field(None, ge=1)
    strategy: StrategyBody | None = None
    stream: bool = Field(False, description="send the text while it is generated (SSE)")

    @field_validator("strategy")
    @classmethod
    def _check_strategy(cls, value: StrategyBody | None) -> StrategyBody | None:
        if value is not None:
            value.strategy()
        return value

    @model_validator(mode="after")
    def _stream_of_one(self) -> GeneratorBody:
        if self.stream and self.is_list:
            raise ValueError("'stream' takes one 'prompt', not 'prompts'")
        if self.prompt is None and (self.second is not None or self.condition is not None):
            raise ValueError("'second' and 'condition' belong to 'prompt'")
        return self

    def sample(self, value: object, task: Task) -> Any:
        if isinstance(value, str):
            return tasks.Prompt(value)
        assert isinstance(value, (GeneratorBody, GeneratorPrompt))
        return tasks.Prompt(value.prompt, value.second, value.condition)

    def options(self, task: Task) -> Options:
        assert isinstance(task, tasks.Generator)
        strategy = self.strategy.strategy() if self.strategy else task.strategy
        given = {"max_new_tokens": self.max_new_tokens, "strategy": strategy}
        values = tuple((name, value) for name, value in given.items() if value is not None)
        # What is drawn depends on the place in the batch, so that no other request may be in it.
        return Options(values, object() if isinstance(strategy, Sample) else None)

    @classmethod
    def example(cls, text: str, task: Task) -> Any:
        return tasks.Prompt(text)


# Bodies by class of task, the first that fits counts; others take texts.
_BODIES: tuple[tuple[type[Task], type[TaskBody]], ...] = (
    (tasks.TextClassifier, ClassifierBody),
    (tasks.SentenceEncoder, EncoderBody),
    (tasks.ExtractiveQA, QABody),
    (tasks.TableQA, TableQABody),
    (tasks.Reranker, RerankerBody),
    (tasks.Generator, GeneratorBody),
)


def body_of(task: Task) -> type[TaskBody]:
    """Return the body of the requests to a task, by its class."""
    return next((body for cls, body in _BODIES if isinstance(task, cls)), TextBody)


def characters(value: object) -> int:
    """Return the number of characters of all texts in a sample."""
    return sum(map(len, _strings(value)))


def has_lone_surrogate(value: object) -> bool:
    """Tell whether a text in a sample has half of a surrogate pair, which no answer can repeat."""
    return any("\ud800" <= char <= "\udfff" for text in _strings(value) for char in text)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Table):
        yield from _strings((value.header, value.rows))
    elif isinstance(value, tasks.Prompt):
        yield from _strings((value.text, value.second))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _strings(part)
