"""How finely the next picture is drawn: coarsely while somebody moves, and finer as they rest."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class LevelsConfig:
    """How long a picture may take, and how finely it is drawn."""

    finest: int = 256
    """Rays along each side of the finest picture: 16 times a power of two."""
    seconds: float = 0.15
    """What a picture may take while somebody moves; they are drawn as finely as that allows."""
    rest: float = 0.15
    """Seconds without a motion after which the picture becomes finer."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        sixteenth, left = divmod(self.finest, COARSEST)
        if left or sixteenth < 1 or sixteenth & (sixteenth - 1):
            raise ValueError(f"levels.finest is {self.finest}; expected 16 times a power of two, such as 256 or 512.")
        if self.seconds <= 0 or self.rest < 0:
            raise ValueError(
                f"levels.seconds is {self.seconds} and levels.rest {self.rest}; the first must be positive, the second "
                "not negative."
            )


COARSEST = 16
"""Rays along each side of the coarsest picture."""

# Of a new time in the mean of a kind of picture.
_SHARE = 0.5


class Speeds:
    """How long pictures of each kind take at each level, from those that were drawn."""

    def __init__(self, side: int, seconds: float):
        """One of any kind, of `side`² pixels, takes so many seconds as far as is known."""
        self._guess = seconds / side**2
        self._known: dict[tuple[str, int], float] = {}

    def seconds(self, kind: str, side: int) -> float:
        """What a picture takes; by its area, where only others of its kind are known."""
        known = {drawn: seconds for (of, drawn), seconds in self._known.items() if of == kind}
        if not known:
            return self._guess * side**2
        like = min(known, key=lambda drawn: max(drawn / side, side / drawn))
        return known[like] * (side / like) ** 2

    def took(self, kind: str, side: int, seconds: float) -> None:
        """A picture was drawn and delivered in so many seconds."""
        before = self._known.get((kind, side), seconds)
        self._known[kind, side] = _SHARE * seconds + (1.0 - _SHARE) * before


class Levels:
    """Says at which level the next picture of a view is drawn."""

    def __init__(self, config: LevelsConfig, tile: int, speeds: Speeds, clock: Callable[[], float]):
        """Of films in tiles of `tile` pixels a side, the coarsest that there is; `clock` says seconds."""
        self._config, self._speeds, self._clock = config, speeds, clock
        self._sides = [side for side in _powers(tile) if side <= config.finest] or [config.finest]
        self._moved = -math.inf
        self._drawn = 0

    def moved(self) -> None:
        """Somebody moves now."""
        self._moved, self._drawn = self._clock(), 0

    def changed(self) -> None:
        """Something else is to be seen, and nobody has moved."""
        self._drawn = 0

    def drawn(self, side: int | None = None) -> None:
        """A picture of the view is there; none is wanted, if not of any side."""
        self._drawn = self._sides[-1] if side is None else side

    @property
    def is_first(self) -> bool:
        """Whether there is no picture of the view yet."""
        return not self._drawn

    @property
    def at_rest(self) -> bool:
        """Whether nobody has moved for a while."""
        return self._clock() >= self._moved + self._config.rest

    def next(self, kind: str) -> int | None:
        """The side of the picture to be drawn now; none if the finest is there, or it is too early for a finer one."""
        if not self._drawn:
            quick = (side for side in self._sides if self._speeds.seconds(kind, side) <= self._config.seconds)
            return max(quick, default=self._sides[0])
        if not self.at_rest:
            return None
        return next((side for side in self._sides if side > self._drawn), None)

    def due(self) -> float:
        """Seconds until there may be a picture to draw; infinite where all are."""
        if self._drawn == self._sides[-1]:
            return math.inf
        return max(self._moved + self._config.rest - self._clock(), 0.0) if self._drawn else 0.0


def _powers(first: int) -> Iterator[int]:
    """The first number times every power of two, up to what no screen has."""
    return (first << power for power in range(16))
