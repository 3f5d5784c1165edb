"""What is wrong with a data set: measured from its pictures, cameras and masks, and said in a sentence.

sampling      which pictures are looked at closely
features      what they have in common
outlines      what outlines say of cameras, where there is no texture
epipolar      how well cameras explain that, and where in space it is
agreement     the same, as a figure to compare with others
corrections   what may have been done to cameras by mistake
geometry      whether cameras explain their pictures, and if not, what was done
elsewhere     whether pictures fit other cameras of the set
placement     where the object is, and whether that is the unit sphere
silhouettes   what masks cover
examination   all of it
"""

from sdfrepar.doctor.examination import Examination, Finding, examine

__all__ = ["Examination", "Finding", "examine"]
