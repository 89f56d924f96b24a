"""Inference over a data set as it was published, its results file, and AP over all of it.

``frames``: a video as the network sees it; ``query_tracks``: queries of clips become tracks of a
video; ``video_inference``: a video's results; ``spool``: results of many videos, one file in the
end; ``results``: reading such a file; ``average_precision``: YouTube-VIS's AP and AR.
"""
