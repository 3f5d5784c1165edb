"""Objects with a known shape, and a plain renderer that photographs them into data sets.

    scenes        the table of analytic scenes: demo, figure, vessel, animal
    parts         balls, bones and rings, and how they are joined
    paint         colours at points: solid textures
    surfaces      what a ray meets, exactly: a field, marched without any cleverness
    meshes        what a ray meets, exactly: a mesh, by Embree
    photography   pictures, depth, normals and masks of either

Nothing here uses the package's own tracer or warp: what is made here is evidence.
"""
