"""Scores of what was recovered, against the truth. NumPy in, NumPy or floats out; each docstring states its protocol.

pictures   PSNR, SSIM
overlaps   IoU of masks and of solids
maps       depth and normals
surfaces   Chamfer distance, F-score
dtu        the DTU benchmark's culling and distances
poses      cameras up to a similarity, or beside a known object
inputs     what they all ask of their input
"""

from sdfrepar.evaluation.dtu import DtuChamfer, dtu_chamfer, dtu_culled
from sdfrepar.evaluation.maps import depth_error, normal_error
from sdfrepar.evaluation.overlaps import mask_iou, occupancy_iou
from sdfrepar.evaluation.pictures import luminance, psnr, ssim
from sdfrepar.evaluation.poses import PoseError, alignment, object_error, pose_error
from sdfrepar.evaluation.surfaces import FScore, chamfer, fscore, sample_surface, squared_chamfer

__all__ = [
    "DtuChamfer",
    "FScore",
    "PoseError",
    "alignment",
    "chamfer",
    "depth_error",
    "dtu_chamfer",
    "dtu_culled",
    "fscore",
    "luminance",
    "mask_iou",
    "normal_error",
    "object_error",
    "occupancy_iou",
    "pose_error",
    "psnr",
    "sample_surface",
    "squared_chamfer",
    "ssim",
]
