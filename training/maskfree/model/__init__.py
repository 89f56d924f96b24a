"""Mask2Former-video, its presets and its files on disk."""
