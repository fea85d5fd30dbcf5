"""The mapping between the tensors of a checkpoint format and the weights of a model.

A `WeightTable` is pure data, a list of `WeightMap`s. Each row pairs the path of a weight
(`Transformer-{i}-FeedForward/inner/kernel`) with a tensor name
(`bert/encoder/layer_{i}/intermediate/dense/kernel`) and an invertible `TensorTransform`, so
one table serves loading, saving and conversion.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Any

from .._types import Array
from .tensor_transform import IDENTITY, TensorTransform


@functools.cache
def _pattern(template: str) -> re.Pattern:
    pieces = re.split(r"\{i[^}]*\}", template)
    return re.compile(r"(\d+)".join(map(re.escape, pieces)))


def _skeleton(name: str) -> str:
    """Return a name or template with `#` for every number, the key of the lookup."""
    return re.sub(r"(?:\d|\{i[^}]*\})+", "#", name)


def _by_skeleton(rows: Iterable[WeightMap], field: str) -> dict[str, list[WeightMap]]:
    groups: dict[str, list[WeightMap]] = {}
    for row in rows:
        groups.setdefault(_skeleton(getattr(row, field)), []).append(row)
    return groups


def _index_in(template: str, name: str) -> dict[str, int] | None:
    """Return the fields `{i}` with which `template` becomes `name`, or None."""
    found = _pattern(template).fullmatch(name)
    if not found:
        return None
    fields = {"i": int(found[1])} if found.re.groups else {}
    return fields if template.format(**fields) == name else None  # `layer_03` is not layer 3


@dataclasses.dataclass(frozen=True)
class WeightMap:
    """One row of a table: a weight, the tensor that holds it, and the change of layout.

    Attributes:
        weight: path of the weight, with `{i}` for the layer index.
        tensor: name of the tensor, with `{i}` for the layer index (`{i:02d}` works too).
        transform: from the tensor to the weight.
        per_token: True if axis 0 of the weight is the vocabulary, so that `keep_tokens` applies.
    """

    weight: str
    tensor: str
    transform: TensorTransform = IDENTITY
    per_token: bool = False

    def at(self, **fields: int) -> WeightMap:
        """Return the row of one layer, with `fields` filled into both names."""
        if not fields:
            return self
        return dataclasses.replace(
            self, weight=self.weight.format(**fields), tensor=self.tensor.format(**fields)
        )


@dataclasses.dataclass(frozen=True)
class Ignored:
    """Tensors that are known and are no weights of the model.

    Attributes:
        pattern: fnmatch pattern on the canonical tensor name.
        reason: why it is not loaded, for the report.
        copy_of: tensor that this one must equal (tied weights).
        used_with: tensor of the same head; equality is checked only if the model loads that one.
        constant: model config -> value of the tensor, which is written for other libraries.
    """

    pattern: str
    reason: str
    copy_of: str | None = None
    used_with: str | None = None
    constant: Callable[[Any], Array] | None = None


@dataclasses.dataclass(frozen=True)
class Rename:
    r"""A regular-expression substitution on tensor templates, to derive one table from another.

    Attributes:
        pattern: searched in the template, in which the layer index is the text `{i}` (write
            r"\{i\}"); every match is replaced.
        replacement: as for `re.sub`.
        transform: from the layout of the renamed tensor to that of the old one, as it is stored:
            `slice_of(0, 3, axis=0)` if it is a third of a fused tensor.
    """

    pattern: str
    replacement: str
    transform: TensorTransform = IDENTITY


# Spellings of the same LayerNorm variables in old and new exports.
_NORM_SPELLINGS = {"gamma": "weight", "beta": "bias", "weight": "gamma", "bias": "beta"}
# First components added by data-parallel training, wrapping modules, torch.compile, PEFT and the
# state dict of a SentenceTransformer (`0.auto_model.`).
_WRAPPERS = ("module", "model", "_orig_mod", "base_model", "0", "auto_model")
_MOST_WRAPPERS = 8
LONGEST_NAME = 500  # characters; searching a name of a million takes minutes
# Components added anywhere in a name by the same libraries; `base_layer` is left by PEFT after
# merging an adapter (one that is not merged is refused, see `tensor_match`).
_INSERTED = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "base_layer")


@dataclasses.dataclass(frozen=True)
class WeightTable:
    """All tensors of one family in one checkpoint format.

    A tensor name in a file becomes canonical, the spelling of this table, in `canonical`: that
    undoes what exporting and training libraries add to names. A canonical name is either a row's
    tensor or covered by `ignored`, so every tensor of a file is a weight, ignored, or unexpected.

    Attributes:
        name: name of the table, for messages.
        rows: one for each weight; several rows with one tensor describe a fused tensor.
        ignored: tensors that may be present and are no weights.
        format: `"google"` (names with `/`) or `"huggingface"` (names with `.`).
        root: first component of the encoder's tensors in this table.
        roots: other first components with the same meaning; names without a root are accepted too.
        always_rooted: write the root even if a checkpoint has only the tensors of the encoder;
            otherwise names with `.` are then written without it, as transformers does. A language
            model whose head is tied has no other tensors, and needs the root.
    """

    name: str
    rows: tuple[WeightMap, ...]
    ignored: tuple[Ignored, ...] = ()
    format: str = "google"
    root: str = "bert"
    roots: tuple[str, ...] = ("roberta",)
    always_rooted: bool = False

    @property
    def separator(self) -> str:
        """Separator of the components of a tensor name."""
        return "/" if self.format == "google" else "."

    @functools.cached_property
    def _rows_by_weight(self) -> dict[str, list[WeightMap]]:
        return _by_skeleton(self.rows, "weight")

    @functools.cached_property
    def _rows_by_tensor(self) -> dict[str, list[WeightMap]]:
        return _by_skeleton(self.rows, "tensor")

    def of_weight(self, path: str, prefix: str = "") -> WeightMap | None:
        """Return the row of a weight with the layer index filled in, or None.

        Args:
            path: Keras variable path. A leading model name is skipped.
            prefix: beginning of the model's layer names that the table does not have.
        """
        parts = path.split("/")
        for start in range(len(parts)):
            if not parts[start].startswith(prefix):
                continue
            name = "/".join(parts[start:]).removeprefix(prefix)
            for row in self._rows_by_weight.get(_skeleton(name), ()):
                fields = _index_in(row.weight, name)
                if fields is not None:
                    return row.at(**fields)
        return None

    def of_tensor(self, name: str) -> list[WeightMap]:
        """Return the rows of a tensor, by its canonical name; several if it is fused."""
        rows = self._rows_by_tensor.get(_skeleton(name), ())
        found = ((row, _index_in(row.tensor, name)) for row in rows)
        return [row.at(**fields) for row, fields in found if fields is not None]

    def canonical(self, name: str) -> str | None:
        """Return the name of a stored tensor in the spelling of this table, or None if unknown.

        Undone are a TensorFlow `:0`, wrapper prefixes (`module.`, `_orig_mod.`,
        `base_model.model.`, `0.auto_model.`), another root (`roberta.`) or none, and the other
        names of LayerNorm variables (gamma and beta, weight and bias).
        """
        if len(name) > LONGEST_NAME:
            return None
        for candidate in self._candidates(name):
            if self.of_tensor(candidate) or self.ignored_as(candidate):
                return candidate
        return None

    def ignored_as(self, name: str) -> Ignored | None:
        """Return the entry of `ignored` that covers a canonical name, or None."""
        found = (entry for entry in self.ignored if fnmatchcase(name, entry.pattern))
        return next(found, None)

    def stored_name(self, tensors: Iterable[str]) -> Callable[[str], str]:
        """Return the function from canonical names to those that are written.

        transformers writes an encoder without a head without the root.
        """
        prefix = self.root + self.separator
        rooted = self.format != "huggingface" or self.always_rooted
        if rooted or not all(name.startswith(prefix) for name in tensors):
            return lambda name: name
        return lambda name: name.removeprefix(prefix)

    def renamed(
        self,
        name: str,
        renames: Iterable[Rename],
        *,
        format: str | None = None,
        ignored: tuple[Ignored, ...] | None = None,
        root: str | None = None,
        roots: tuple[str, ...] | None = None,
        always_rooted: bool | None = None,
    ) -> WeightTable:
        """Derive a table of the same weights with other tensor names and layouts.

        Args:
            name: name of the new table.
            renames: applied in order to every tensor template; a pattern that occurs in none
                changes nothing. `table.rows` shows the templates.
            format, ignored, root, roots, always_rooted: values of the new table; None keeps the
                old one. If the new names begin with another word, it is the `root`: an encoder
                is saved without it.
        """
        rows = []
        for row in self.rows:
            tensor, transform = row.tensor, row.transform
            for rename in renames:
                tensor, count = re.subn(rename.pattern, rename.replacement, tensor)
                if count:
                    transform = rename.transform.then(transform)
            rows.append(dataclasses.replace(row, tensor=tensor, transform=transform))
        return dataclasses.replace(
            self,
            name=name,
            rows=tuple(rows),
            format=self.format if format is None else format,
            ignored=self.ignored if ignored is None else ignored,
            root=self.root if root is None else root,
            roots=self.roots if roots is None else roots,
            always_rooted=self.always_rooted if always_rooted is None else always_rooted,
        )

    def without(self, *patterns: str) -> WeightTable:
        """Derive a table without the rows of some weights.

        Args:
            *patterns: fnmatch patterns on weight paths.
        """
        kept = [row for row in self.rows if not any(fnmatchcase(row.weight, p) for p in patterns)]
        return dataclasses.replace(self, rows=tuple(kept))

    def extended(self, *rows: WeightMap) -> WeightTable:
        """Derive a table with more rows."""
        return dataclasses.replace(self, rows=(*self.rows, *rows))

    def with_weights(self, name: str, pattern: str, replacement: str) -> WeightTable:
        """Derive a table of the same tensors with other weight paths, by `re.sub`.

        Args:
            name: name of the new table.
            pattern, replacement: as for `re.sub`, applied to every weight path.
        """
        rows = (
            dataclasses.replace(row, weight=re.sub(pattern, replacement, row.weight))
            for row in self.rows
        )
        return dataclasses.replace(self, name=name, rows=tuple(rows))

    def _candidates(self, name: str) -> Iterator[str]:
        """Yield the spellings under which this table may know a stored name."""
        name = name.removesuffix(":0")
        if any(part in name for part in _INSERTED):
            parts = name.split(self.separator)
            name = self.separator.join(part for part in parts if part not in _INSERTED)
        for rooted in self._rooted(name):
            yield rooted
            head, separator, last = rooted.rpartition(self.separator)
            if last in _NORM_SPELLINGS:
                yield head + separator + _NORM_SPELLINGS[last]

    def _rooted(self, name: str) -> Iterator[str]:
        """Yield a name as it is and under this table's root, with fewer and fewer wrappers."""
        for _ in range(_MOST_WRAPPERS):
            head, separator, rest = name.partition(self.separator)
            yield name
            yield self.root + self.separator + name
            if head in self.roots:
                yield self.root + separator + rest
            if not separator or head not in _WRAPPERS:
                return
            name = rest
