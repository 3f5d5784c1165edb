"""How exactly fields are evaluated: in float32 throughout, or with less where nothing but speed depends on it.

Accelerators multiply float32 matrices with TF32's ten bits unless they are told otherwise. A network is then off by up
to a tenth of a pixel, which its derivatives, and the marching cubes of a fine grid, show.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, ParamSpec, TypeVar

import jax
import jax.numpy as jnp

from sdfrepar.fields import Distance

Precision = Literal["float32", "tensorfloat32", "bfloat16"]

MARGIN: dict[Precision, float] = {"float32": 0.0, "tensorfloat32": 0.005, "bfloat16": 0.03}
"""Scene units by which a network in the unit sphere may be off, with a factor of two to spare: for fields that change
at every step. `measured_margin` is closer for one that stays."""

# Points at which a field is compared with itself, in blocks of the size that is the fastest.
_PROBES = 1024

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_float32(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function with all its matrix products, and those of its derivatives, in full float32."""

    @functools.wraps(function)
    def exact(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        with jax.default_matmul_precision("float32"):
            return function(*arguments, **named)

    return exact


def rounded(distance: Distance, precision: Precision) -> Distance:
    """A field evaluated with less precision: off by less than `MARGIN`, and cheaper on accelerators.

    TF32 rounds what matrix products take in, and changes nothing on a CPU; bfloat16 rounds parameters and points as
    well.
    """

    def in_tensorfloat32(params: Any, x: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("tensorfloat32"):
            return distance(params, x)

    def short(leaf: Any) -> Any:
        return leaf.astype(jnp.bfloat16) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf

    def in_bfloat16(params: Any, x: jax.Array) -> jax.Array:
        return distance(*jax.tree.map(short, (params, x))).astype(x.dtype)

    return {"float32": distance, "tensorfloat32": in_tensorfloat32, "bfloat16": in_bfloat16}[precision]


def measured_margin(distance: Distance, precision: Precision, params: Any, within: float = math.inf) -> jax.Array:
    """Scene units () by which `rounded` may be off: twice the most at points spread over the cube of the unit sphere,
    of which those count where the field is less than `within`.

    Gradient: detached.
    """
    if precision == "float32":
        return jnp.zeros(())
    rough, params = rounded(distance, precision), jax.lax.stop_gradient(params)

    def off(x: jax.Array) -> jax.Array:
        exact = distance(params, x)
        return jnp.where(jnp.abs(exact) < within, jnp.abs(rough(params, x) - exact), 0.0)

    return 2.0 * jnp.max(jax.vmap(off)(jax.random.uniform(jax.random.key(0), (_PROBES, 3), minval=-1.0, maxval=1.0)))
