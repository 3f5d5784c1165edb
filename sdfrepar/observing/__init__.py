"""First-order mode [D20]: depth, normals, silhouettes and decoded properties of a shape, fast.

config       what there is to observe, and every switch
marches      all rays of a picture, coarse ones first, the unfinished alone
attached     the distance to the surface with its derivative, three ways
observation  whole pictures: read this one first

Unlike `rendering`, nothing is integrated over pixels: a ray goes through each centre, and its silhouette is a field.
"""

from sdfrepar.observing.config import ObserveConfig, Subject
from sdfrepar.observing.marches import Marched, march_picture
from sdfrepar.observing.observation import ALL, Channel, observe

__all__ = [
    "ALL",
    "Channel",
    "Marched",
    "ObserveConfig",
    "Subject",
    "march_picture",
    "observe",
]
