"""Reconstructions beside the usual one, tiny: the baseline with masks, and all that may be fitted beside the scene."""

from dataclasses import replace

import numpy as np
import pytest
import tiny

from experiments import baselines, make_scene, reconstruct, runs
from experiments.make_scene import MakeConfig
from experiments.presets import PRESETS, ReconstructConfig
from sdfrepar import files
from sdfrepar.fitting import FitConfig
from sdfrepar.networks import BackgroundConfig, FeatureConfig, VoxelConfig

QUICK = PRESETS["quick"]
TINY: ReconstructConfig = replace(
    QUICK,
    mesh_resolution=24,
    log_every=2,
    pictures=0,
    network=replace(
        tiny.NETWORK,
        weight_norm=True,
        grid=FeatureConfig(levels=2, coarsest=4, finest=8, sdf_width=8),
        voxels=VoxelConfig(coarsest=4, levels=2),
        background=BackgroundConfig(kind="sphere", width=8, depth=1, point_octaves=1, direction_octaves=1),
    ),
    # What is fitted beside the scene does not depend on how silhouettes are followed.
    render=replace(QUICK.render, chunk=512, gradient=replace(QUICK.render.gradient, method="interior")),
    fit=FitConfig(steps=4, pixels=16, warm_up=1, eikonal_points=8),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The demo's scene with alpha, tiny."""
    folder = tmp_path_factory.mktemp("data")
    config = MakeConfig(views=3, test_views=1, resolution=16, occupancy_resolution=16, surface_points=500, alpha=True)
    make_scene.write(config, folder)
    return folder


@pytest.mark.slow
def test_idr_with_masks_learns_from_them(data, tmp_path):
    config = baselines.idr(replace(TINY, fit=replace(TINY.fit, masks="use")))
    metrics = reconstruct.reconstruct(config, data, tmp_path)
    lines = files.read_json_lines(tmp_path / "metrics.jsonl")
    assert all(line["loss/mask"] > 0 for line in lines)
    assert metrics["gradient"] == "interior" and 0 <= metrics["silhouette_iou"] <= 1
    assert {"psnr_in_mask", "depth_error", "normal_error", "fscore"} <= set(metrics)


@pytest.mark.slow
@pytest.mark.parametrize("field", ["features", "voxels"])
def test_everything_that_may_be_fitted_is(field, data, tmp_path):
    """A grid, a background on a sphere, poses and exposures; the run is read back with all of them."""
    fit = replace(TINY.fit, refine_poses=True, exposure=True, smoothness_weight=0.1, pose_warm_up=0.0)
    config = replace(TINY, network=replace(TINY.network, field=field), fit=fit, pose_noise=1.0)
    metrics = reconstruct.reconstruct(config, data, tmp_path)
    assert metrics["rotation_error_at_first"] == pytest.approx(1.0, abs=0.5)
    assert metrics["rotation_error"] != metrics["rotation_error_at_first"]
    run = runs.load(tmp_path)
    params = run.snapshot.state.params
    assert params["poses"].shape == (3, 6) and np.abs(params["poses"]).max() > 0
    assert params["exposure"].shape == (3, 3) and np.abs(params["exposure"]).max() > 0
    assert all(line["loss/smoothness"] > 0 for line in files.read_json_lines(tmp_path / "metrics.jsonl"))
    assert np.isfinite(run.scene.distance(run.params, np.zeros(3, np.float32)))


def test_masks_that_are_not_there_are_asked_for(data, tmp_path):
    opaque = tmp_path / "opaque"
    make_scene.write(
        MakeConfig(views=2, test_views=1, resolution=16, occupancy_resolution=16, surface_points=100), opaque
    )
    config = baselines.idr(replace(TINY, fit=replace(TINY.fit, masks="use")))
    with pytest.raises(ValueError, match=r"fit\.masks is use, but the data set has no masks"):
        reconstruct.reconstruct(config, opaque, tmp_path / "run")
