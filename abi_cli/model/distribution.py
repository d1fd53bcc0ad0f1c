"""The contract of distributions that a spec declares, and what their options may be.

An option is a number, a list of numbers (one for each element of what is drawn) or the name of
another variable, whose value it then has. Options broadcast as in NumPy; `size` is the shape of
what is drawn, as there.
"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from abi_cli.model.support import Support
from abi_cli.registry import Part
from abi_cli.spec.problems import Code
from abi_cli.spec.shorthand import describe, refusal

Option = Any  # or pydantic would serialize it through each of its types in turn
"""A number, a tuple of numbers (of tuples, for a matrix), or the name of a variable."""

Options = Mapping[str, Any]
"""Option → its value, a number or an array; all broadcast."""

SMALLEST = float(np.finfo(np.float64).tiny)
"""The number that draws become that underflow to 0 where 0 is outside the support."""


@dataclass(frozen=True)
class Reader:
    """A reader of an option of a spec.

    Arguments:
        words: What each number must be, such as `a number above 0`.
        allows: Whether a number is that.
        whole: Whether only whole numbers will do; otherwise all become floats.
        names: Whether it may be the name of a variable.
    """

    words: str
    allows: Callable[[float], bool]
    whole: bool = False
    names: bool = True

    def __call__(self, value: Any) -> Option:
        """The option, or a refusal that points at the number at fault."""
        if isinstance(value, str):
            if not self.names or not value.isidentifier():
                raise self._refused(value)
            return value
        if isinstance(value, tuple | list) and not value:
            raise self._refused(value)
        read = self._numbers(value, ())
        try:
            np.asarray(read, np.float64)
        except ValueError:
            message = "Expected a list of numbers, or lists of one length; got another mixture"
            raise refusal(Code.VALUE, message) from None
        return read

    def _numbers(self, value: Any, at: tuple[int, ...]) -> float | tuple[Any, ...]:
        if isinstance(value, tuple | list) and value:
            return tuple(self._numbers(item, (*at, index)) for index, item in enumerate(value))
        right = int if self.whole else int | float
        if isinstance(value, bool) or not isinstance(value, right):
            raise self._refused(value, at)
        if abs(value) > np.finfo(np.float64).max or value != value or not self.allows(value):
            raise self._refused(value, at)
        return value if self.whole else float(value)

    def _refused(self, value: Any, at: tuple[int, ...] = ()) -> Exception:
        forms = [self.words, "a list of them", *(["the name of a variable"] if self.names else [])]
        listed = f"{', '.join(forms[:-1])} or {forms[-1]}"
        return refusal(Code.VALUE, f"Expected {listed}; got {describe(value)}", at=at)


_FORMS = WithJsonSchema(
    {
        "anyOf": [
            {"type": "number"},
            {"type": "array", "minItems": 1},
            {"type": "string", "pattern": r"^[^\W\d]\w*$"},
        ]
    }
)
Real = Annotated[Option, PlainValidator(Reader("a number", lambda _: True)), _FORMS]
Positive = Annotated[Option, PlainValidator(Reader("a number above 0", lambda x: x > 0)), _FORMS]
Probability = Annotated[
    Option, PlainValidator(Reader("a number from 0 to 1", lambda x: 0 <= x <= 1)), _FORMS
]
Whole = Annotated[
    Option, PlainValidator(Reader("a whole number", lambda _: True, whole=True)), _FORMS
]
PositiveWhole = Annotated[
    Option, PlainValidator(Reader("a whole number above 0", lambda x: x > 0, whole=True)), _FORMS
]


def _read_size(value: Any) -> Any:
    if isinstance(value, tuple | list) and any(isinstance(item, str) for item in value):
        raise refusal(
            Code.VALUE,
            "Expected a size of whole numbers, or one variable alone; got both in a list",
            hint="Let a function draw what has several axes of which one varies, such as "
            "`given: {x: model.py:draw_x}`",
        )
    return None if value is None else _SIZE(value)


_SIZE = Reader("a whole number above 0", lambda x: x > 0, whole=True)
Size = Annotated[
    Option,
    PlainValidator(_read_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}},
                {"type": "string", "pattern": r"^[^\W\d]\w*$"},
                {"type": "null"},
            ]
        }
    ),
]
SIZE = Field(
    None,
    validate_default=False,
    description="Shape of what is drawn, or a variable that says it; else that of the options.",
)


class Distribution(Part):
    """A distribution of numbers or vectors.

    To add one, write a class in a module `parts_distributions*.py` of this package and an example
    of it in `tests/distribution_examples.py`; `tests/test_model_distributions.py` then checks what
    follows. Where SciPy knows its density, a `Family` says all this by a `Law`.

    1. Decorate it with `@part("distribution", "its_name", example=…)`, NumPy's name if it has one.
       Its fields are its options, NumPy's arguments, and last of all `size: Size = SIZE`.
    2. `draw` draws as NumPy does: options broadcast, `size` is the shape of what is drawn.
    3. `log_prob` is the log-density element by element, right within `bounds`.
    4. `moments` are the mean and sd, NaN or infinite where there are none.
    5. `check` refuses options that contradict each other; each for itself its type refuses.
    """

    rank: ClassVar[int] = 0
    """Trailing axes of what is drawn that are one value: 1 for a distribution of vectors."""
    ranks: ClassVar[Mapping[str, int]] = {}
    """Option → trailing axes that are one value of it, where it has any."""
    discrete: ClassVar[bool] = False
    """True if draws are whole numbers, or from a list."""
    heavy: ClassVar[bool] = False
    """True if the tail falls more slowly than an exponential."""

    if TYPE_CHECKING:  # every distribution declares it itself, so that it comes last
        size: Size

    @abstractmethod
    def draw(self, rng: np.random.Generator, o: Options, size: Any) -> Any:
        """Draws from `rng`.

        Arguments:
            o: The options, without `size`.
            size: The shape, without the axes of one value; None for that of the options.
        """

    @abstractmethod
    def log_prob(self, x: np.ndarray, o: Options) -> np.ndarray:
        """The log-density at `x (*, [dim])`, or log-probability where `discrete`, `(*)`."""

    @abstractmethod
    def moments(self, o: Options) -> tuple[Any, Any]:
        """Mean and sd of each element, as far as they exist."""

    def bounds(self, o: Options) -> tuple[Any, Any]:
        """Lower and upper bound of the elements."""
        return -np.inf, np.inf

    def check(self, o: Options) -> None:
        """Refuse options that contradict each other; those that name variables are NaN.

        Errors:
            ValueError: They do.
        """

    def support(self) -> Support:
        """The support of the elements, as far as it depends on no other variable."""
        low, high = (np.asarray(bound, np.float64) for bound in self.bounds(self._known()))
        lower, upper = float(low.min()), float(high.max())
        return Support(
            lower if np.isfinite(lower) else None,
            upper if np.isfinite(upper) else None,
            heavy=self.heavy,
            discrete=self.discrete,
        )

    def varies(self) -> bool:
        """True if more than one value can be drawn."""
        support = self.support()
        return support.lower is None or support.lower != support.upper

    def meaning(self) -> str:
        """A line for people: `gamma: mean 1, sd 1`, or the options where mean or sd vary."""
        mean, sd = (np.asarray(moment, np.float64) for moment in self.moments(self._known()))
        if self.references() or not (np.isfinite(mean).all() and np.isfinite(sd).all()):
            return f"{self.name}: {self._spelled()}"
        size = "" if self.size is None else f", size {_shown(self.size)}"
        return f"{self.name}: mean {_shown(mean)}, sd {_shown(sd)}{size}"

    def references(self) -> dict[str, str]:
        """Option → the variable that it names."""
        return {
            option: value
            for option in type(self).model_fields
            if isinstance(value := getattr(self, option), str)
        }

    def sampler(self) -> Callable[[np.random.Generator, Mapping[str, Any]], Any]:
        """A function that makes one draw, given the variables that options name."""
        constants, references, draw = self._constants(), self.references(), self.draw
        size: Any = references.pop("size", None)
        if size is not None:
            return lambda rng, values: draw(
                rng,
                {**constants, **{option: values[name] for option, name in references.items()}},
                whole(values[size]),
            )
        size = self.size
        if not references:
            return lambda rng, _values: draw(rng, constants, size)
        return lambda rng, values: draw(
            rng, {**constants, **{o: values[name] for o, name in references.items()}}, size
        )

    def sample(self, rng: np.random.Generator, values: Mapping[str, Any]) -> Any:
        """One draw, a number or `(*event)`.

        Arguments:
            values: Of the variables that options name.
        """
        return self.sampler()(rng, values)

    def sample_rows(
        self, rng: np.random.Generator, values: Mapping[str, np.ndarray], rows: int
    ) -> np.ndarray:
        """Draws for many data sets at once, `(dataset, *event)`.

        Arguments:
            values: Of the variables that options name, `(dataset, *event)`, or `(1, *event)` for
                one value for all data sets.

        Errors:
            ValueError: The `size` is another in each data set, or doesn't fit the options.
        """
        options = self._by_row(values)
        size: Any = self.size
        if isinstance(size, str):
            size = _one_size(values[size])
        shapes = [value.shape[1 : value.ndim - self._rank(o)] for o, value in options.items()]
        shape = np.broadcast_shapes(*shapes)
        if size is not None:
            given = (size,) if isinstance(size, int) else size
            if np.broadcast_shapes(shape, given) != given:
                raise ValueError(f"a size of {_shown(size)} does not fit options of shape {shape}")
            shape = given
        return np.asarray(self.draw(rng, self._aligned(options, len(shape)), (rows, *shape)))

    def log_density(self, x: np.ndarray, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """The log-density of data sets, summed over the elements of each, `(dataset,)`.

        Arguments:
            x: `(dataset, *event)`.
            values: As in `sample_rows`.
        """
        x = np.asarray(x, np.float64)
        options = self._aligned(self._by_row(values), x.ndim - 1 - self.rank)
        low, high = self.bounds(options)
        with np.errstate(all="ignore"):
            within = (x >= low) & (x <= high)
            if self.rank:
                within = within.all(axis=-1)
            log_prob = np.where(within, self.log_prob(x, options), -np.inf)
        return log_prob.reshape(len(x), -1).sum(axis=1)

    @model_validator(mode="after")
    def _options_go_together(self) -> Distribution:
        shapes = {
            option: np.shape(value)[: np.ndim(value) - self._rank(option)]
            for option, value in self._constants().items()
        }
        for option, value in self._constants().items():
            if np.ndim(value) < self._rank(option):
                what = ["a number", "a list", "a list of lists"][self._rank(option)]
                raise ValueError(f"Expected {what} for {option}; got {_shown(value)}")
        try:
            shape = np.broadcast_shapes(*shapes.values())
        except ValueError:
            listed = ", ".join(f"{option} {shape}" for option, shape in shapes.items())
            raise ValueError(f"Expected options of one shape; got {listed}") from None
        if isinstance(self.size, int | tuple):
            size = (self.size,) if isinstance(self.size, int) else self.size
            fits = len(shape) <= len(size) and all(
                one in (1, other)
                for one, other in zip(reversed(shape), reversed(size), strict=False)
            )
            if not fits:
                raise ValueError(
                    f"Expected a size that fits the options, which have shape {shape}; "
                    f"got {_shown(self.size)}"
                )
        self.check(self._known())
        return self

    def _rank(self, option: str) -> int:
        return self.ranks.get(option, 0)

    def _constants(self) -> dict[str, Any]:
        """The options that are given and name no variable, as numbers and arrays."""
        return {
            option: np.asarray(value) if isinstance(value, tuple) else value
            for option in type(self).model_fields
            if option != "size"
            and (value := getattr(self, option)) is not None
            and not isinstance(value, str)
        }

    def _known(self) -> dict[str, Any]:
        """The options, NaN where they name a variable."""
        unknown = {
            option: np.full((1,) * self._rank(option), np.nan)
            for option in self.references()
            if option != "size"
        }
        return self._constants() | unknown

    def _by_row(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The options with a leading axis, dataset or 1."""
        options = {option: np.asarray(value)[None] for option, value in self._constants().items()}
        for option, name in self.references().items():
            if option != "size":
                options[option] = np.asarray(values[name])
        return options

    def _aligned(self, options: Mapping[str, np.ndarray], middle: int) -> dict[str, np.ndarray]:
        """The options with `middle` axes between the leading one and those of one value."""
        return {
            option: value.reshape(
                value.shape[:1] + (1,) * (middle + 1 + self._rank(option) - value.ndim)
                + value.shape[1:]
            )
            for option, value in options.items()
        }  # fmt: skip

    def _spelled(self) -> str:
        return ", ".join(
            f"{option} {_shown(value)}"
            for option in type(self).model_fields
            if (value := getattr(self, option)) is not None
        )


def whole(value: Any) -> int:
    """The size that a variable gives.

    Errors:
        ValueError: It is no whole number of at least 0.
    """
    number = np.asarray(value)
    if number.size != 1 or number.dtype.kind not in "iu" or number.item() < 0:
        raise ValueError(f"Expected a whole number as size; got {_shown(value)}")
    return operator.index(number.item())


def _one_size(values: np.ndarray) -> int:
    if (values != values[:1]).any():
        raise ValueError(
            f"Expected a size that is the same in every data set; got {values.flat[0]:g} and "
            f"{values[values != values.flat[0]].flat[0]:g}"
        )
    return whole(values[0])


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{array.item():.4g}"
    return f"[{', '.join(_shown(item) for item in array)}]"


def shaped(size: Any, *options: Any) -> Any:
    """The shape to draw: `size`, or that of the options; None where these are numbers."""
    return size if size is not None else np.broadcast_shapes(*map(np.shape, options)) or None
