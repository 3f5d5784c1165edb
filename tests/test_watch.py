"""A fit that goes wrong is stopped, with a sentence that says how and since when."""

from dataclasses import replace

import jax.numpy as jnp
import pytest

from experiments import watch
from experiments.presets import PRESETS

QUICK = PRESETS["quick"]
CONFIG = replace(QUICK, fit=replace(QUICK.fit, steps=1000, levels=5, descent=0.5), log_every=10)


def metrics_of(**changes):
    return {"loss": 0.1, "hits": 10.0, "loss/eikonal": 0.1, "loss/photometric": 0.2} | changes


def test_a_lost_surface_is_noticed_at_once_and_given_up_later():
    look = watch.Watch(CONFIG)
    assert look(100, metrics_of()) is None and look.sees_surface
    said = look(110, metrics_of(hits=0.0))
    assert said == "step 110: no ray of the batch hits the surface, which was last hit at step 100"
    assert look(190, metrics_of(hits=0.0)) is None and not look.sees_surface
    with pytest.raises(
        watch.LostSurfaceError, match=r"no ray has hit it since step 100, now 200.*shape_rate"
    ) as caught:
        look(200, metrics_of(hits=0.0))
    assert caught.value.sound_until == 100


def test_a_surface_that_vanishes_is_sound_while_it_is_large():
    look = watch.Watch(CONFIG)
    for step, hits in ((100, 9.0), (110, 10.0), (120, 5.0), (130, 1.0), (140, 0.0)):
        look(step, metrics_of(hits=hits))
    with pytest.raises(watch.LostSurfaceError, match="since step 130") as caught:
        look(300, metrics_of(hits=0.0))
    assert caught.value.sound_until == 120


def test_a_surface_that_comes_back_is_not_lost():
    look = watch.Watch(CONFIG)
    look(10, metrics_of(hits=0.0))
    look(60, metrics_of(hits=2.0))
    assert look(150, metrics_of(hits=0.0)) is not None


def test_it_knows_what_a_continued_run_has_seen():
    look = watch.Watch(CONFIG, [{"step": 100, "hits": 3.0}, {"step": 110, "hits": 0.0}])
    assert not look.sees_surface
    look(190, metrics_of(hits=0.0))
    with pytest.raises(watch.LostSurfaceError, match=r"since step 100, now 200"):
        look(200, metrics_of(hits=0.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_named(value):
    look = watch.Watch(CONFIG)
    look(10, metrics_of())
    with pytest.raises(watch.NotFiniteError, match=r"At step 20 loss, gradient_norm became not finite; try") as caught:
        look(20, metrics_of(loss=value, gradient_norm=value))
    assert caught.value.sound_until == 10


def test_a_field_that_explodes_is_named():
    look = watch.Watch(CONFIG)
    look(10, metrics_of(**{"loss/eikonal": 2.0}))
    with pytest.raises(
        watch.ExplodedError, match=r"At step 20 the field has exploded: its slopes are off by 6,"
    ) as caught:
        look(20, metrics_of(**{"loss/eikonal": 36.0}))
    assert caught.value.sound_until == 10


def test_a_state_is_looked_at_before_it_is_kept():
    look = watch.Watch(CONFIG)
    state = {"sdf": {"kernel": jnp.ones(3), "bias": jnp.array([0.0, jnp.nan])}, "step": jnp.int32(3)}
    assert watch.not_finite(state) == ["sdf/bias"]
    with pytest.raises(watch.NotFiniteError, match="At step 7 sdf/bias became not finite"):
        look.require_sound(7, state)
    look.require_sound(7, {"a": jnp.zeros(2)})


def test_states_are_scored_once_all_levels_are_in_play():
    look = watch.Watch(CONFIG)
    look(490, metrics_of())
    assert look.score() is None
    look(500, metrics_of(**{"loss/photometric": 0.2}))
    look(510, metrics_of(**{"loss/photometric": 0.4}))
    assert look.score() == pytest.approx(0.3) and look.score() is None
