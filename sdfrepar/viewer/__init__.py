"""A surface that is looked at in a browser, live, by our own tracer.

    viewpoints   where one looks from, as a camera of a square film
    programs     what that camera sees: a film in tiles, so that one that nobody waits for is given up
    pictures     what is shown of it: colours, normals, depth, errors, the warp
    photographs  the training pictures on the same film
    slices       the field on a plane
    levels       how finely the next picture is drawn, by the seconds that others took
    painter      a picture of what is to be seen at a level, or none if somebody has moved meanwhile
    window       viser, and nothing else
    session      all of it together, while a run goes on: read this one last

Only `window` and `session` know of a browser.
"""

from sdfrepar.viewer.levels import LevelsConfig
from sdfrepar.viewer.photographs import Photographs
from sdfrepar.viewer.programs import Programs
from sdfrepar.viewer.session import Exhibit, Session
from sdfrepar.viewer.viewpoints import Viewpoint, at_camera
from sdfrepar.viewer.window import Window, WindowConfig, require_viser, welcome

__all__ = [
    "Exhibit",
    "LevelsConfig",
    "Photographs",
    "Programs",
    "Session",
    "Viewpoint",
    "Window",
    "WindowConfig",
    "at_camera",
    "require_viser",
    "welcome",
]
