"""Data sets of many annotated videos, and the training clips that are drawn from them.

``types``: what a data set is. ``opening``: `open_dataset` reads one in its published layout.
``clips``: `DatasetClips` makes a training clip of a number; ``mixed``: `MixedClips` does so from
several data sets, which ``class_names`` brings to the same classes; ``padding``: `pad_clips` brings
clips to one size.
"""
