"""The numbers of a run, on renderings whose errors are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import outcome, view_scores
from experiments.view_scores import ExactMaps
from sdfrepar import cameras, evaluation, fields, files, meshing
from sdfrepar.records import Image, Views
from sdfrepar.rendering import Scene

SIDE = 16
# Scene space is the world's sphere of radius 2 around (0, 0, 5), turned half about z.
WORLD_FROM_SCENE = np.array([[-2.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 2.0, 5.0], [0, 0, 0, 1.0]])


def square(low: int, high: int) -> np.ndarray:
    """A mask (H, W) with one square."""
    mask = np.zeros((SIDE, SIDE), bool)
    mask[low:high, low:high] = True
    return mask


def views_of(images: np.ndarray, masks: np.ndarray | None) -> Views:
    camera = cameras.look_at(
        jnp.array([0.0, 0.0, -3.0]),
        jnp.zeros(3),
        jnp.array([0.0, 1.0, 0.0]),
        field_of_view=0.7,
        resolution=(SIDE, SIDE),
    )
    return Views(
        images=images,
        cameras=jax.tree.map(lambda leaf: np.asarray(leaf)[None], camera),
        names=("a",),
        world_from_scene=WORLD_FROM_SCENE,
        masks=masks,
    )


def image_of(covered: np.ndarray) -> Image:
    """A flat grey thing that faces the camera at depth 3, scene units."""
    return Image(
        radiance=np.full((SIDE, SIDE, 3), 0.2, np.float32),
        opacity=covered.astype(np.float32),
        depth=np.where(covered, 3.0, 0.0),
        normal=covered[..., None] * np.array([1.0, 0.0, -1.0]),
    )


def score(masks: np.ndarray | None, exact: ExactMaps | None, photograph: np.ndarray) -> dict[str, float]:
    image = image_of(square(4, 12))
    rendered = files.encode_srgb(image.radiance)
    test = views_of(files.decode_srgb(photograph)[None], masks)
    return view_scores.score_view(image, rendered, photograph, test, 0, exact)


def photograph(thing: np.ndarray, background: float) -> np.ndarray:
    """The true colours within the mask are off by 0.1 in sRGB; white or black elsewhere."""
    grey = files.encode_srgb(np.float32(0.2))
    return np.where(thing[..., None], grey + 0.1, background) * np.ones(3)


def test_masks_decide_silhouettes_where_there_are_some():
    thing = square(4, 10)
    scores = score(0.6 * thing[None].astype(np.float32), None, photograph(thing, background=1.0))
    assert scores["silhouette_iou"] == pytest.approx(36 / 64)
    assert scores["psnr_in_mask"] == pytest.approx(20.0, abs=1e-4)
    assert scores["psnr"] < 10.0
    empty = score(np.zeros((1, SIDE, SIDE), np.float32), None, photograph(thing, background=1.0))
    assert empty["silhouette_iou"] == 0.0 and "psnr_in_mask" not in empty


def test_dark_borders_decide_them_where_there_are_none():
    thing = square(4, 10)
    assert score(None, None, photograph(thing, background=0.0))["silhouette_iou"] == pytest.approx(36 / 64)
    assert set(score(None, None, photograph(thing, background=1.0))) == {"psnr", "ssim"}


def test_dim_things_behind_are_no_silhouette():
    curtained = photograph(square(4, 10), background=0.0)
    curtained[:, :3] = np.linspace(0.03, 0.11, SIDE)[:, None, None]
    assert score(None, None, curtained)["silhouette_iou"] == pytest.approx(36 / 64)
    nothing = photograph(square(0, 0), background=0.0)
    assert score(None, None, nothing)["silhouette_iou"] == 0.0


def test_exact_maps_are_compared_in_the_world_where_both_have_a_surface():
    thing = square(6, 14)
    # The rendered plane is at depth 6 of the world, its normal turned half about z to (-1, 0, -1).
    exact = ExactMaps(
        depth=np.where(thing, 6.25, 0.0)[None],
        normal=(thing[..., None] * np.array([0.0, 0.0, -1.0]))[None],
        mask=thing[None],
    )
    scores = score(None, exact, photograph(thing, background=1.0))
    assert scores["depth_error"] == pytest.approx(0.25)
    assert scores["normal_error"] == pytest.approx(45.0)
    assert scores["silhouette_iou"] == pytest.approx(36 / (64 + 64 - 36))
    nowhere = exact._replace(mask=exact.mask & False)
    assert "depth_error" not in score(None, nowhere, photograph(thing, background=1.0))


def test_exact_maps_of_another_size_are_named_and_left_out(tmp_path, capsys):
    test = views_of(np.zeros((1, SIDE, SIDE, 3), np.float32), None)
    path = tmp_path / "truth_views.npz"
    assert view_scores.load_exact(path, test) is None
    maps = {"depth": np.ones((1, SIDE, SIDE)), "normal": np.ones((1, SIDE, SIDE, 3)), "mask": np.ones((1, SIDE, SIDE))}
    np.savez(path, **maps)
    assert view_scores.load_exact(path, test).mask.dtype == bool
    np.savez(path, **{name: values[:, ::2, ::2] for name, values in maps.items()})
    assert view_scores.load_exact(path, test) is None
    assert "maps (1, 8, 8), the held-out views are (1, 16, 16)" in capsys.readouterr().out


def test_scores_that_some_views_lack_are_averaged_over_the_others():
    assert view_scores.mean_scores([{"a": 1.0}, {"a": 2.0, "b": 5.0}]) == {"a": 1.5, "b": 5.0}


def test_fscore_is_taken_at_a_hundredth_of_the_unit_sphere(tmp_path):
    """Of n random points an area A, a share 1 - exp(-π r² n / A) has another set's point within r."""
    world_from_scene = np.diag([0.5, 0.5, 0.5, 1.0])
    scene = Scene(distance=fields.sphere, radiance=lambda *_: jnp.zeros(3), background=lambda *_: jnp.zeros(3))
    params = {"radius": jnp.float32(0.8)}
    mesh = meshing.transform(meshing.extract(fields.sphere, params, 24), world_from_scene)
    points = evaluation.sample_surface(mesh.vertices, mesh.faces, 20_000, seed=1)
    truth = tmp_path / "truth.npz"
    np.savez(truth, occupancy=np.packbits(np.ones(8**3, bool)), resolution=8, surface_points=points)
    scores = outcome.score_shape(scene, params, mesh, world_from_scene, truth)
    assert scores["fscore_threshold"] == pytest.approx(0.005)
    assert scores["fscore"] == pytest.approx(1 - np.exp(-np.pi * 0.005**2 * 20_000 / (4 * np.pi * 0.4**2)), abs=0.02)
    without = outcome.score_shape(scene, params, None, world_from_scene, truth)
    assert without["fscore"] is without["chamfer"] is None
