"""The mask-free losses: box projection, colour-pairwise, temporal KNN-patch and its baselines."""

from __future__ import annotations

from maskfree.losses.pairwise import PairwiseLoss, colour_similarity, pairwise_loss
from maskfree.losses.pairwise3d import pairwise3d_loss
from maskfree.losses.projection import ProjectionLoss, projection_loss
from maskfree.losses.temporal_flow import temporal_flow_loss
from maskfree.losses.temporal_knn import TemporalKNNLoss, temporal_knn_loss

__all__ = [
    "PairwiseLoss",
    "ProjectionLoss",
    "TemporalKNNLoss",
    "colour_similarity",
    "pairwise3d_loss",
    "pairwise_loss",
    "projection_loss",
    "temporal_flow_loss",
    "temporal_knn_loss",
]
