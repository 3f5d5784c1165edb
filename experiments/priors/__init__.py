"""Families of shapes, for decoders to learn: procedural ones and folders of meshes, and distances sampled from them."""
