"""Every hyper-parameter, once, with unit, range and source.

Sources: *paper* is Mask-Free Video Instance Segmentation (CVPR 2023, arXiv 2303.15904); *released*
is its code (SysCV/MaskFreeVIS); *Mask2Former* is CVPR 2022 (arXiv 2112.01527) and *BoxInst* CVPR
2021 (arXiv 2012.02310); *measured* means chosen by ``training/benchmarks/quality.py``. The
mechanism behind :func:`~maskfree.settings.setting` is in ``settings.py``.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from maskfree.settings import Section, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "PUBLISHED",
    "AblationConfig",
    "AuditConfig",
    "AugmentConfig",
    "CategoryConfig",
    "ClicksConfig",
    "Config",
    "ConsensusConfig",
    "CorrectionsConfig",
    "DataConfig",
    "EvidenceConfig",
    "FollowConfig",
    "FormatConfig",
    "FramePrintsConfig",
    "GeodesicConfig",
    "InferenceConfig",
    "JournalConfig",
    "MatchingConfig",
    "MetricConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimiserConfig",
    "PairwiseConfig",
    "PredictConfig",
    "PreflightConfig",
    "PreviewConfig",
    "PriorConfig",
    "RecipeConfig",
    "ResidualConfig",
    "RestartConfig",
    "SamplingConfig",
    "ScheduleConfig",
    "TemporalKNNConfig",
    "VideoConfig",
]


@dataclasses.dataclass(frozen=True)
class ModelConfig(Section):
    """Mask2Former-video: sizes of backbone, pixel decoder and transformer decoder."""

    backbone: str = setting(
        "resnet", "kind of the backbone", choices=("resnet", "swin"), source="paper: both"
    )
    backbone_sizes: tuple[int, ...] = setting(
        (32, 64, 96, 128),
        "channels of the backbone's four stages",
        unit="channels",
        high=8192,
        source="measured",
    )
    backbone_depths: tuple[int, ...] = setting(
        (1, 1, 1, 1), "blocks in each of them", unit="blocks", high=200, source="measured"
    )
    backbone_layer: str = setting(
        "basic",
        "kind of a ResNet's blocks: two wide convolutions, or three, the middle one narrow",
        choices=("basic", "bottleneck"),
        source="ResNet: basic to 34 layers, bottleneck from 50",
    )
    backbone_weights: str = setting(
        "",
        "pretrained weights of the backbone: a hub id or a folder; leave it empty for fresh ones",
        source="paper: pretrained; here never needed, and no quality was measured with them",
    )
    backbone_heads: tuple[int, ...] = setting(
        (3, 6, 12, 24), "attention heads in each stage of a Swin", high=1024, source="Swin"
    )
    backbone_window: int = setting(
        7, "side of a Swin's windows", unit="tokens", low=1, high=64, source="Swin: 7, B and L: 12"
    )
    drop_path: float = setting(
        0.3,
        "part of a Swin's last block's turns that are passed over in training",
        low=0.0,
        high=0.9,
        source="Mask2Former",
    )
    frozen_norms: bool = setting(
        False,
        "the backbone's batch norms keep their pretrained statistics, scales and shifts",
        source="Mask2Former, with a ResNet",
    )
    weights: str = setting(
        "",
        "a whole network to begin with: a hub id, a folder, a checkpoint, a run's weights; leave "
        "it empty for none",
        source="paper: Mask2Former on COCO",
    )
    hidden_size: int = setting(
        64, "width of pixel decoder, queries and mask features", unit="channels", low=16, high=1024
    )
    feedforward_size: int = setting(
        128, "width of the feed-forward layers", unit="channels", low=16, high=8192
    )
    encoder_feedforward_size: int = setting(
        0,
        "width of those of the pixel decoder, where it is another one; 0: the same",
        unit="channels",
        low=0,
        high=8192,
        source="Mask2Former: 1024, and 2048 in the decoder",
    )
    num_heads: int = setting(4, "attention heads", low=1, high=32)
    encoder_layers: int = setting(
        2, "deformable-attention layers of the pixel decoder", low=1, high=64
    )
    decoder_layers: int = setting(
        4, "decoder outputs, the one on the query features included", low=2, high=12
    )
    num_queries: int = setting(
        8, "decoder slots; more are made when a video has more tracks", low=1, high=2000
    )

    @classmethod
    def resnet18(cls) -> ModelConfig:
        """Return the default with a pretrained ResNet-18 as its backbone."""
        return cls(
            backbone_sizes=(64, 128, 256, 512),
            backbone_depths=(2, 2, 2, 2),
            backbone_weights="microsoft/resnet-18",
        )

    @classmethod
    def resnet50(cls) -> ModelConfig:
        """Return the default with a pretrained ResNet-50, as the paper has it, as its backbone."""
        return cls(
            backbone_sizes=(256, 512, 1024, 2048),
            backbone_depths=(3, 4, 6, 3),
            backbone_layer="bottleneck",
            backbone_weights="microsoft/resnet-50",
        )

    @classmethod
    def published(cls, name: str) -> ModelConfig:
        """Return the paper's network with one of its backbones, by a name of ``PUBLISHED``.

        Sizes: Mask2Former's of ResNet-50 and -101 and Swin-T to -L, as MaskFreeVIS has them.
        """
        common = cls(
            hidden_size=256,
            feedforward_size=2048,
            encoder_feedforward_size=1024,
            num_heads=8,
            encoder_layers=6,
            decoder_layers=10,
            num_queries=200 if name == "swin-l" else 100,
        )
        return dataclasses.replace(common, **PUBLISHED[name])


def _published_resnet(depths: tuple[int, ...], weights: str) -> dict[str, Any]:
    return {
        "backbone_sizes": (256, 512, 1024, 2048),
        "backbone_depths": depths,
        "backbone_layer": "bottleneck",
        "backbone_weights": weights,
        "frozen_norms": True,
    }


def _published_swin(
    width: int, depths: tuple[int, ...], window: int, weights: str
) -> dict[str, Any]:
    heads = width // 32
    return {
        "backbone": "swin",
        "backbone_sizes": (width, 2 * width, 4 * width, 8 * width),
        "backbone_depths": depths,
        "backbone_heads": (heads, 2 * heads, 4 * heads, 8 * heads),
        "backbone_window": window,
        "weights": weights,
    }


PUBLISHED: Mapping[str, Mapping[str, Any]] = {
    "r50": _published_resnet((3, 4, 6, 3), "microsoft/resnet-50"),
    "r101": _published_resnet((3, 4, 23, 3), "microsoft/resnet-101"),
    "swin-t": _published_swin(96, (2, 2, 6, 2), 7, "facebook/mask2former-swin-tiny-coco-instance"),
    "swin-s": _published_swin(
        96, (2, 2, 18, 2), 7, "facebook/mask2former-swin-small-coco-instance"
    ),
    "swin-b": _published_swin(
        128, (2, 2, 18, 2), 12, "facebook/mask2former-swin-base-coco-instance"
    ),
    "swin-l": _published_swin(
        192, (2, 2, 18, 2), 12, "facebook/mask2former-swin-large-coco-instance"
    ),
}
"""What differs between the published networks, and what the hub has of them: of a ResNet the
backbone, of a Swin the whole network, trained on COCO."""


@dataclasses.dataclass(frozen=True)
class PairwiseConfig(Section):
    """Colour-pairwise loss within a frame."""

    dilation: int = setting(
        2, "distance of the 8 neighbours", unit="grid cells", low=1, high=16, source="BoxInst"
    )
    colour_bandwidth: float = setting(
        2.0, "similarity is exp(-|Lab difference| / this)", unit="Lab", low=1e-3, source="BoxInst"
    )
    similarity_threshold: float = setting(
        0.3, "pairs at least this similar count", low=0.0, high=1.0, source="BoxInst, paper"
    )
    outside_counts: bool = setting(
        False,
        "a neighbour outside the image is black and counts in the normaliser where that is similar",
        source="released: yes (zero padding)",
    )
    weight: float = setting(1.0, "weight of the loss", low=0.0, source="paper: 1")

    @classmethod
    def paper(cls) -> PairwiseConfig:
        """Return the setting of the paper."""
        return cls()

    @classmethod
    def released(cls) -> PairwiseConfig:
        """Return the setting of the released code: the paper's, but for its zero padding."""
        return cls(outside_counts=True)

    @classmethod
    def from_scratch(cls) -> PairwiseConfig:
        """Return what serves a network without pretrained weights better (measured): less of it."""
        return cls(similarity_threshold=0.5, weight=0.5)


@dataclasses.dataclass(frozen=True)
class TemporalKNNConfig(Section):
    """Temporal KNN-patch loss (TK-Loss) and the 1:K matching that it stands on."""

    method: str = setting(
        "knn",
        "what ties frames together: knn (TK-Loss), flow (one match a cell, by optical flow), "
        "pairwise3d (like colours of a cell and its neighbours in another frame), none",
        choices=("knn", "flow", "pairwise3d", "none"),
        source="paper: knn, the others are its baselines",
    )
    flow_error: float = setting(
        1.0,
        "with flow: a cell counts whose way there and back ends this near to where it began",
        unit="pixels of the clip, four a cell",
        low=0.0,
        source="ours: a quarter of a cell",
    )
    flow_weights: str = setting(
        "",
        "with flow: a file of torchvision's RAFT weights; empty: OpenCV's DIS",
        source="paper: RAFT",
    )
    search_radius: int = setting(
        5, "R: candidates lie within this radius", unit="grid cells", low=1, high=32, source="paper"
    )
    window: str = setting(
        "disc",
        "shape of the candidate window: all cells within R, or a square of side 2R+1",
        choices=("disc", "square"),
        source="paper: disc; released: square",
    )
    candidate_stride: int = setting(
        1, "step between candidates", unit="grid cells", low=1, high=16, source="released: 3"
    )
    num_neighbors: int = setting(5, "K: matches kept for a pixel", low=1, high=81, source="paper")
    patch_size: int = setting(
        3,
        "N: side of the compared Lab patches",
        unit="grid cells",
        choices=(1, 3, 5, 7, 9, 11, 13, 15),
        source="paper",
    )
    metric: str = setting(
        "l2",
        "what patches are compared by: l2 or l1 distance, or ncc: 1 - normalised cross-correlation",
        choices=("l2", "l1", "ncc"),
        source="paper: l2, the others are its comparison",
    )
    colour_space: str = setting(
        "lab",
        "what is compared: Lab, or sRGB from 0 to 100",
        choices=("lab", "rgb"),
        source="paper: Lab",
    )
    max_distance: float = setting(
        5.99,
        "D: matches further apart are dropped; 5.99 = -2 ln 0.05, the released affinity floor",
        unit="Lab, L2 over the patch",
        low=0.0,
        source="paper, read through the released code",
    )
    max_distance_l1: float = setting(
        22.0,
        "D where the metric is l1",
        unit="Lab, L1 over the patch",
        low=0.0,
        source="measured: keeps as many of the 5 nearest, 26% on seven real clips, as 5.99 of l2",
    )
    max_distance_ncc: float = setting(
        0.08,
        "D where the metric is ncc",
        unit="1 - correlation",
        low=0.0,
        high=2.0,
        source="measured: the same",
    )
    tube: str = setting(
        "cyclic",
        "frame pairs: cyclic (t to t+1, last to first), neighbour (no closing pair), dense (all)",
        choices=("cyclic", "neighbour", "dense"),
        source="paper",
    )
    normaliser: str = setting(
        "grid",
        "a pair's sum is divided by the grid's cells, or by the number of matches that count",
        choices=("grid", "matches"),
        source="paper, Algorithm 1: grid; released: matches",
    )
    inside_boxes: bool = setting(
        False,
        "training passes the boxes: only cells inside the union of an instance's boxes count",
        source="paper: no; released: yes",
    )
    centre_frame: str = setting(
        "source",
        "frame of a pair that holds the centre pixel; the other holds the candidates",
        choices=("source", "target"),
        source="released: target",
    )
    outside_counts: bool = setting(
        False,
        "a candidate outside the image is a zero patch that counts in the normaliser",
        source="released: yes (zero padding)",
    )
    weight: float = setting(1.0, "weight of the sum over frame pairs", low=0.0)
    warmup_steps: int = setting(
        0, "steps of linear warm-up of the weight", unit="steps", low=0, source="released: 200"
    )
    kept_matches: int = setting(
        128,
        "matches kept for frames that are seen again; only without scale_jitter are they",
        unit="megabytes",
        low=0,
        high=1_000_000,
    )

    @property
    def limit(self) -> float:
        """The D in force: the distance of `metric` beyond which there is no match."""
        return {
            "l2": self.max_distance,
            "l1": self.max_distance_l1,
            "ncc": self.max_distance_ncc,
        }[self.metric]

    @classmethod
    def paper(cls) -> TemporalKNNConfig:
        """Return R=5, K=5, N=3 on a cyclic tube, over the whole grid."""
        return cls()

    @classmethod
    def from_scratch(cls) -> TemporalKNNConfig:
        """Return the paper's at half the weight, for a network without pretrained weights."""
        return cls(weight=0.5)

    @classmethod
    def released(cls) -> TemporalKNNConfig:
        """Return the released code's 9 candidates, dense pairs of T=3, weight 0.1."""
        return cls(
            search_radius=3,
            window="square",
            candidate_stride=3,
            max_distance=-2 * math.log(0.05),
            tube="dense",
            normaliser="matches",
            inside_boxes=True,
            centre_frame="target",
            outside_counts=True,
            weight=0.1,
            warmup_steps=200,
        )


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(Section):
    """What teaches, and the weights of the total objective."""

    supervision: str = setting(
        "boxes",
        "what teaches: boxes, or true masks alone (cross-entropy and dice; corrections, here)",
        choices=("boxes", "masks"),
        source="paper: boxes; masks is the oracle that it is compared with (Mask2Former)",
    )
    class_weight: float = setting(2.0, "weight of the classification", low=0.0, source="paper")
    mask_weight: float = setting(5.0, "weight of all mask terms", low=0.0, source="paper")
    no_object_weight: float = setting(
        0.1, "class weight of queries without object", low=0.0, high=1.0, source="Mask2Former"
    )
    projection_weight: float = setting(1.0, "weight of the box projection", low=0.0, source="paper")
    outside_weight: float = setting(
        0.1, "weight of 'outside its box a pixel is not this instance'", low=0.0, source="measured"
    )
    other_box_weight: float = setting(
        0.2, "the same within another track's box", low=0.0, high=1.0, source="measured"
    )
    temporal_mean: bool = setting(
        True,
        "TK-Loss by the grid normaliser is averaged over the instances, as the other mask terms",
        source="paper, Algorithm 1: no",
    )
    deep_supervision: bool = setting(
        True, "losses on every decoder layer's output", source="Mask2Former"
    )


@dataclasses.dataclass(frozen=True)
class EvidenceConfig(Section):
    """Background seen elsewhere: in-box pixels that other frames show to be background."""

    seek: bool = setting(True, "background seen elsewhere is looked for")
    weight: float = setting(
        1.0, "weight of the labels that come from it and from the consensus", low=0.0
    )
    max_sources: int = setting(
        32, "other frames looked at for a frame, spread over the video", unit="frames", low=1
    )
    beyond: int = setting(
        64,
        "frames without any box that are looked at on either side of one that has a box",
        unit="frames",
        low=0,
    )
    background_distance: float = setting(
        4.0, "background is at most this far from what was seen", unit="Lab", low=0.0
    )
    object_distance: float = setting(
        15.0,
        "this far from what was seen is enough for object, whatever the noise",
        unit="Lab",
        low=0.0,
    )
    noise_quantile: float = setting(
        0.98,
        "the clip's noise: this quantile of certain background's distance to its own sightings",
        low=0.5,
        high=1.0,
        source="measured",
    )
    least_noise: float = setting(0.5, "the noise is taken to be at least this", unit="Lab", low=0.0)
    background_noise: float = setting(
        2.0, "background is at most this many times the noise away", low=0.0, source="measured"
    )
    object_noise: float = setting(
        6.0, "this many times the noise away is enough for object", low=1.0, source="measured"
    )
    object_least_noise: float = setting(
        2.0,
        "object is at least this many times the noise away, as on moving water",
        low=1.0,
        source="measured",
    )
    least_shown: float = setting(
        0.3,
        "the noise is measured by frames that show at least this part of the box's inside",
        low=0.0,
        high=1.0,
    )
    split_margin: float = setting(
        1.25,
        "in a box the distances split in two; belief begins this factor to either side",
        low=1.0,
    )
    cell: int = setting(
        2, "side of a cell that is compared, in the frame at the area budget", unit="pixels", low=1
    )
    surroundings: float = setting(
        0.75,
        "a box's surroundings: so far beyond it lie the corners and the noise that are its own",
        unit="of its longer side",
        low=0.0,
    )
    world_share: float = setting(
        0.8,
        "surroundings of which this part moves with the whole frame have no motion of their own",
        low=0.0,
        high=1.0,
    )
    max_corners: int = setting(400, "corners that the frame's motion is fitted to", low=8)
    min_inliers: int = setting(
        12, "fewer agreeing corners than this: motion unknown, no evidence", low=4, unit="points"
    )
    ransac_threshold: float = setting(
        2.0, "reprojection error of an agreeing corner", unit="pixels", low=0.1
    )
    drift_every: int = setting(
        10,
        "so often the chained motions are corrected; 0: never",
        unit="frames",
        low=0,
        source="measured",
    )
    box_margin: float = setting(
        0.0, "boxes grown by this before 'outside' is certain", unit="of the box", low=0.0
    )
    least_share: float = setting(
        0.1,
        "a side that says less than this part of the boxes is not weighted up to the other's",
        low=0.0,
        high=1.0,
        source="measured",
    )
    most_distances: int = setting(
        2**22,
        "distances of a kind that a track keeps: all for 146 frames of 448 x 256 pixels, or more",
        unit="numbers",
        low=1,
    )
    most_bytes: int = setting(
        16 * 2**20,
        "arrays of a whole video that take more together are kept in a temporary file",
        unit="bytes",
        low=0,
    )


@dataclasses.dataclass(frozen=True)
class GeodesicConfig(Section):
    """What goes on outside its box is background: cost of the cheapest path from there."""

    weight: float = setting(
        2.0,
        "weight in the consensus of being reached easily; 0: not looked at",
        unit="logit",
        low=0.0,
        source="measured",
    )
    octaves: float = setting(
        2.0,
        "reached this many times 2 more cheaply than the box's median: certainly background",
        low=0.1,
    )
    texture: float = setting(
        0.5, "changes up to this are texture and cost nothing", unit="Lab a pixel", low=0.0
    )
    step: float = setting(0.02, "a step costs at least this", unit="Lab", low=1e-6)
    least: float = setting(3.0, "paths that cost no more are alike", unit="Lab", low=1e-3)
    blur: int = setting(
        7, "side of the median filter before", unit="crop pixels", choices=(1, 3, 5, 7, 9, 11)
    )
    burnt: float = setting(
        95.0,
        "lightness from which a picture is burnt out: that two places are alike says nothing there",
        unit="Lab",
        low=0.0,
        high=101.0,
        source="measured",
    )
    burnt_cost: float = setting(
        20.0, "a step costs so much more there: nothing is reached through it", unit="Lab", low=0.0
    )
    stretch_power: float = setting(
        4.0,
        "where a clip's contrast is stretched the cue is divided by this power of the stretch",
        low=0.0,
        source="measured",
    )


@dataclasses.dataclass(frozen=True)
class ConsensusConfig(Section):
    """All cues together at the picture's own detail: labels before training, refinement after."""

    train: bool = setting(True, "the network learns from it (else from the evidence alone)")
    refine: bool = setting(True, "predicted masks are refined by it")
    teacher_at: float = setting(
        0.5,
        "after this part of a run the network's own masks join in; 1: never",
        low=0.0,
        high=1.0,
    )
    teacher_clips: int = setting(24, "most clips that they are made of", unit="clips", low=1)
    network: float = setting(0.5, "weight of the network's logits", low=0.0, source="measured")
    network_limit: float = setting(6.0, "they count no further than this", unit="logit", low=0.1)
    evidence: float = setting(
        3.0, "weight of background seen elsewhere", unit="logit", low=0.0, source="measured"
    )
    colour: float = setting(1.0, "weight of the log ratio of colours", low=0.0, source="measured")
    shape: float = setting(
        1.0, "weight of the ellipse in the box", unit="logit", low=0.0, source="measured"
    )
    lean: float = setting(
        8.0,
        "where a clip has little contrast its masks lean on that ellipse: so much more for each "
        "whole stretch of its contrast",
        unit="logit",
        low=0.0,
        source="measured",
    )
    first_shape: float = setting(
        2.0, "more of the ellipse at the start, where the evidence is silent", unit="logit", low=0.0
    )
    silence: float = setting(
        0.25, "the evidence is silent where its belief is below this", low=0.0, high=1.0
    )
    smooth: float = setting(
        8.0,
        "weight of the neighbours that look alike, divided by the stretch of a clip of little "
        "contrast",
        unit="logit",
        low=0.0,
        source="measured",
    )
    radius: int = setting(
        12, "they lie within this; less in small crops", unit="crop pixels", low=1
    )
    flat: float = setting(
        30.0, "colours that vary less are one surface", unit="Lab^2", low=1e-3, source="measured"
    )
    steps: int = setting(10, "mean-field steps", low=0, high=50, source="measured")
    rounds: int = setting(4, "times that the colours are learnt again", low=1, high=20)
    frames: int = setting(20, "frames that a track's colours are learnt from", low=1)
    bins: int = setting(24, "bins of the colour histogram along each of L, a, b", low=4, high=64)
    unseen_share: float = setting(
        0.1, "part of each histogram that is spread evenly: unseen colours tell nothing", low=1e-6
    )
    colour_limit: float = setting(3.0, "a colour tells no more than this", unit="logit", low=0.1)
    margin: float = setting(
        0.25, "room around the box that is looked at", unit="of its longer side", low=0.0
    )
    detail: float = setting(
        128.0, "boxes larger than this are looked at smaller", unit="pixels", low=8.0
    )
    most_detail: float = setting(
        400.0, "a crop is no larger than a square of this side", unit="pixels", low=16.0
    )
    kept_bytes: int = setting(32 * 2**20, "crops kept in memory", unit="bytes", low=0)
    first_boxes: int = setting(
        600,
        "most boxes whose masks are shown before the network is trained, of all tracks together: "
        "some ten seconds; 0: none",
        unit="boxes",
        low=0,
    )
    geodesic: GeodesicConfig = dataclasses.field(default_factory=GeodesicConfig)


@dataclasses.dataclass(frozen=True)
class CorrectionsConfig(Section):
    """Masks that a person corrected, as supervision; without them nothing of this is at work."""

    weight: float = setting(
        2.0, "weight of cross-entropy and dice against what a person said", low=0.0
    )
    share: float = setting(
        0.25, "part of the clips that hold a corrected frame for sure", low=0.0, high=1.0
    )


@dataclasses.dataclass(frozen=True)
class CarryConfig(Section):
    """How a correction goes to the frames around it; no part of a run's settings."""

    frames: int = setting(
        10,
        "a correction is carried this far, forward and backward",
        unit="frames",
        low=1,
        source="measured",
    )
    area: int = setting(
        854 * 480,
        "it is carried through frames of at most this size",
        unit="pixels",
        low=64 * 64,
    )
    error: float = setting(
        2.0,
        "a pixel is carried whose way there and back ends this near to where it began",
        unit="pixels of the frames that it is carried through",
        low=0.0,
        source="measured",
    )
    distance: float = setting(
        15.0,
        "and that looks no less like it than this",
        unit="Lab, root mean square over 3 x 3 pixels",
        low=0.0,
        source="measured",
    )


@dataclasses.dataclass(frozen=True)
class TidyConfig(Section):
    """Which holes and specks of a mask are small; no part of a run's settings."""

    share: float = setting(
        0.02,
        "the largest hole or speck that goes, unless a person says",
        unit="of the object's pixels",
        low=0.0,
        high=1.0,
    )


@dataclasses.dataclass(frozen=True)
class ProposalConfig(Section):
    """Which of a track's proposed boxes become keyframes; no part of a run's settings."""

    tolerance: float = setting(
        0.04,
        "boxes that lie nearer to where they are interpolated are left out",
        unit="of the box's size",
        low=0.0,
    )


@dataclasses.dataclass(frozen=True)
class ClicksConfig(Section):
    """What a click takes into a mask or out of it; no part of a run's settings."""

    area: int = setting(
        130 * 130,
        "the box and what is around it are looked at in at most this size: a click is answered at "
        "once",
        unit="pixels",
        low=32 * 32,
        source="measured",
    )
    margin: float = setting(
        0.15, "around the box so much is looked at", unit="of its longer side", low=0.0
    )
    alike: float = setting(
        12.0,
        "a place whose colour is no further from the click's costs its way nothing more",
        unit="Lab",
        low=0.0,
    )
    unlike: float = setting(
        0.15, "beyond that a step costs so much more", unit="Lab a Lab", low=0.0, source="measured"
    )
    deep: float = setting(
        0.5,
        "a mask's sure interior lies this far inside, of how far its middle does",
        low=0.0,
        high=1.0,
    )
    other: float = setting(
        25.0,
        "and has a colour at least so far from that of a click which says: not this",
        unit="Lab",
        low=0.0,
    )
    reach: float = setting(
        8.0, "where nothing is sure a click reaches as far as this costs", unit="Lab", low=0.0
    )
    bins: int = setting(
        12, "colours of a box without a mask are counted in so many bins an axis", low=2, high=64
    )
    ellipse: float = setting(
        0.9,
        "in such a box the object lies within an ellipse of this size",
        unit="of the box",
        low=0.0,
        source="measured",
    )
    corner: float = setting(3.0, "beyond it belief falls so fast", unit="logit a half box", low=0.0)
    smooth: float = setting(
        0.04, "radius of the guided filter that smooths it", unit="of the longer side", low=0.0
    )
    contrast: float = setting(
        20.0, "variance of colour below which that filter sees no edge", unit="Lab squared", low=0.0
    )
    geodesic: GeodesicConfig = dataclasses.field(default_factory=GeodesicConfig)


@dataclasses.dataclass(frozen=True)
class PriorConfig(Section):
    """Decaying centre prior: gets the start right where there is no evidence."""

    weight: float = setting(1.0, "weight at the first step; 0 switches it off", low=0.0)
    centre: float = setting(
        0.4,
        "cells within this radius of the box's centre are object",
        unit="of the box's half",
        low=0.0,
        high=1.0,
    )
    corner: float = setting(
        1.15,
        "cells beyond this radius are background",
        unit="of the box's half",
        low=0.0,
        high=1.5,
    )
    silence: float = setting(
        0.25, "it speaks only where the evidence's belief is below this", low=0.0, high=1.0
    )
    until: float = setting(
        0.5, "the weight falls to its floor by this part of the run", low=0.0, high=1.0
    )
    floor: float = setting(
        0.1, "part of the weight that stays to the end", low=0.0, high=1.0, source="measured"
    )


@dataclasses.dataclass(frozen=True)
class MatchingConfig(Section):
    """How predictions are assigned to the annotated tubes."""

    mode: str = setting(
        "bound",
        "bound: track i to query i; tube: the paper's box-mask matching; frame: per-frame boxes; "
        "mask: true masks, where those teach",
        choices=("bound", "tube", "frame", "mask"),
        source="paper: tube; Mask2Former: mask; bound for one video from scratch (measured)",
    )
    unprompted: float = setting(
        0.1,
        "part of the steps in which bound queries are not told their boxes",
        low=0.0,
        high=1.0,
        source="measured; a bound model then also works without boxes",
    )
    num_points: int = setting(
        12544, "points sampled for the dice cost", unit="points", low=1, source="Mask2Former"
    )
    class_cost: float = setting(2.0, "weight of the class cost", low=0.0, source="paper")
    dice_cost: float = setting(5.0, "weight of the dice cost", low=0.0, source="paper")
    mask_cost: float = setting(
        5.0, "with mask: weight of the cross-entropy's cost", low=0.0, source="Mask2Former"
    )


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Section):
    """Which clips training looks at, and at which size."""

    clip_length: int = setting(
        2,
        "T: frames in a training clip",
        unit="frames",
        low=1,
        high=16,
        source="measured: more steps on shorter clips learn more in the same time; released: 3",
    )
    max_gap: int = setting(
        2, "largest step between two frames of a clip", unit="frames", low=1, high=64
    )
    shuffle: bool = setting(
        False, "a clip's frames come in any order, not in the video's", source="released: yes"
    )
    frame_area: int = setting(
        448 * 256, "area of a training frame or crop", unit="pixels", low=64 * 64, high=4096 * 4096
    )
    object_size: float = setting(
        56.0, "small objects are enlarged until half of them are this large", unit="pixels", low=8
    )
    max_enlarge: float = setting(4.0, "largest enlargement of the video's own pixels", low=1.0)
    max_frame_area: int = setting(
        1024 * 1024, "largest whole frame at the working scale", unit="pixels", low=64 * 64
    )
    contrast: float = setting(
        16.0,
        "clips of less contrast are stretched to this for the losses; 0: never",
        unit="Lab, standard deviation",
        low=0.0,
        source="measured: natural clips have 17 to 27, microscopy 6 to 8",
    )
    max_stretch: float = setting(4.0, "contrast is never stretched by more", low=1.0)
    contrast_frames: int = setting(8, "frames that it is measured on", unit="frames", low=1)
    slack_per_frame: float = setting(
        0.01, "how far a box is wrong, for each frame to its keyframe", unit="of the box", low=0.0
    )
    slack_per_travel: float = setting(
        0.2,
        "how far an interpolated box is wrong, for its travel between keyframes",
        unit="of the travel",
        low=0.0,
        source="measured",
    )
    max_slack: float = setting(
        0.3, "an interpolated box is never wronger", unit="of the box", low=0.0, high=1.0
    )
    least_trust: float = setting(
        0.3, "weight of the projection where the slack is largest", low=0.0, high=1.0
    )
    max_cut: float = setting(
        0.05,
        "matching.mode=bound: a box cut by the crop by more is not projected",
        unit="of the box",
        low=0.0,
    )


@dataclasses.dataclass(frozen=True)
class DataConfig(Section):
    """Which data set is learnt from, and the clips that are made of it; not part of a run's config.

    *Released* is what its code does with the videos of YouTube-VIS 2019, *joint* what it does with
    COCO's pictures beside them (``INPUT.PSEUDO``).
    """

    kind: str = setting(
        "ytvis2019",
        "layout of the data set",
        choices=("ytvis2019", "ytvis2021", "ovis", "bdd100k", "coco"),
        source="paper: YouTube-VIS 2019 and 2021, OVIS, BDD100K MOTS; joint: COCO",
    )
    split: str = setting("train", "which of its parts")
    clip_length: int = setting(
        3,
        "T: frames in a training clip",
        unit="frames",
        low=1,
        high=16,
        source="released; paper: 5",
    )
    frame_range: int = setting(
        5,
        "a clip's other frames lie within this of the first one drawn, counted in those that "
        "frame_share leaves",
        unit="frames",
        low=1,
        high=1000,
        source="released; joint and Mask2Former: 20",
    )
    shuffle: bool = setting(
        True, "a clip's frames come in any order; not in pseudo-videos", source="released"
    )
    short_sides: tuple[int, ...] = setting(
        (360, 480),
        "the shorter side of a clip's frames: one of these, chosen once for the clip",
        unit="pixels",
        low=32,
        high=4096,
        source="released; joint: 288 to 512 in steps of 32",
    )
    long_side: int = setting(
        1333,
        "the longer side is no longer than this",
        unit="pixels",
        low=32,
        high=8192,
        source="released (detectron2's own); joint: 768",
    )
    flip: bool = setting(
        True, "mirror a whole clip left and right, half of the time", source="released"
    )
    scale_side: int = setting(
        0,
        "in place of short_sides and crop: frames are fitted into a square of this side times a "
        "factor, and what is beyond the square is cut off; 0: not so",
        unit="pixels",
        low=0,
        high=8192,
        source="Mask2Former: 1024 for COCO's pictures (large-scale jitter), 0 for videos",
    )
    scale_low: float = setting(
        0.1, "smallest of those factors", low=0.01, high=10.0, source="Mask2Former, COCO"
    )
    scale_high: float = setting(
        2.0, "largest of those factors", low=0.01, high=10.0, source="Mask2Former, COCO"
    )
    crop: bool = setting(
        False, "cut a part out of the frames first, now and then", source="released; joint: yes"
    )
    crop_share: float = setting(
        0.5, "part of the clips that are cropped, with crop", low=0.0, high=1.0, source="joint"
    )
    crop_short_sides: tuple[int, ...] = setting(
        (400, 500, 600),
        "the shorter side of a frame before it is cropped: one of these",
        unit="pixels",
        low=32,
        high=4096,
        source="joint",
    )
    crop_long_side: int = setting(
        1333,
        "before it is cropped a frame's longer side is at most that",
        unit="pixels",
        low=32,
        high=8192,
        source="joint",
    )
    crop_sides: tuple[int, ...] = setting(
        (384, 600),
        "smallest and largest side of what is cut out, width and height each drawn between",
        unit="pixels",
        low=32,
        high=4096,
        source="joint",
    )
    rotation: float = setting(
        0.0,
        "frames are turned by up to this, to either side; it grows or falls along a pseudo-video, "
        "and is the same in all frames of a real one",
        unit="degrees",
        low=0.0,
        high=180.0,
        source="released: 0; joint: 15",
    )
    rotation_centre: float = setting(
        0.1,
        "around a point that lies no further than this from the frame's middle",
        unit="of the side",
        low=0.0,
        high=0.5,
        source="joint",
    )
    pseudo_frames: int = setting(
        1,
        "frames of the pseudo-video that is made of a picture, each cut out and turned on its own; "
        "1: a picture is a clip of one frame",
        unit="frames",
        low=1,
        high=16,
        source="joint: 4",
    )
    colour_jitter: float = setting(
        0.0,
        "brightness, contrast and saturation change by up to this",
        low=0.0,
        high=0.9,
        source="released",
    )
    video_share: float = setting(
        1.0,
        "part of the videos that is used; a larger part holds the smaller ones",
        low=0.01,
        high=1.0,
        source="paper: 1, and less in its study of data",
    )
    frame_share: float = setting(
        1.0,
        "part of each video's frames that is used, spread evenly; a larger part holds the smaller",
        low=0.01,
        high=1.0,
        source="paper: 1, and less in its study of data",
    )
    most_tries: int = setting(
        20, "a clip whose pictures cannot be read is drawn anew at most so often", low=1, high=1000
    )


@dataclasses.dataclass(frozen=True)
class FollowConfig(Section):
    """Boxes between keyframes follow the picture, those after the last one their objects."""

    between: bool = setting(
        True, "boxes between keyframes follow the picture (else they are interpolated)"
    )
    most_gap: int = setting(
        100, "spans between keyframes that are longer stay interpolated", unit="frames", low=1
    )
    points: int = setting(20, "points along each side of a box", low=3, high=200)
    window: int = setting(
        11, "side of the window that is compared around a point", unit="pixels", low=3, high=101
    )
    most_return: float = setting(
        0.7, "a point followed there and back comes back this near", unit="pixels", low=0.01
    )
    least_points: int = setting(6, "fewer points than this: lost", unit="points", low=3)
    least_agreement: float = setting(
        0.3, "part of the points that must move as one", low=0.0, high=1.0
    )
    ransac_threshold: float = setting(
        2.0, "reprojection error of a point that moves with the others", unit="pixels", low=0.1
    )
    held_passes: int = setting(
        3,
        "times that boxes beyond their tracks' last keyframes follow their objects, each with the "
        "background that the one before has shown; 0: they stay where they were drawn",
        low=0,
        high=10,
        source="measured",
    )
    most_held: int = setting(
        500, "they follow no further beyond them than this", unit="frames", low=0
    )
    held_reach: float = setting(
        0.12,
        "there an object's mask is looked for so far beyond its box",
        unit="of the box",
        low=0.0,
        high=1.0,
        source="measured",
    )
    held_pull: float = setting(
        0.5,
        "there a box goes this part of the way to what its mask spans",
        low=0.0,
        high=1.0,
        source="measured",
    )
    slack_per_travel: float = setting(
        0.05,
        "how far a followed box is wrong, for its travel between keyframes",
        unit="of the travel",
        low=0.0,
        source="measured",
    )
    most_drift: float = setting(
        0.5,
        "a way that misses the other keyframe by more is not taken",
        unit="of the box",
        low=0.0,
    )


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Section):
    """Changes made to a training clip, the same for all of its frames."""

    flip: bool = setting(True, "mirror left and right, half of the time")
    scale_jitter: float = setting(
        0.1,
        "frames are enlarged by up to twice this before they are cropped",
        low=0.0,
        high=0.9,
        source="measured",
    )
    colour_jitter: float = setting(
        0.15, "brightness, contrast and saturation change by up to this", low=0.0, high=0.9
    )


@dataclasses.dataclass(frozen=True)
class OptimiserConfig(Section):
    """AdamW, its schedule and the length of a run."""

    steps: int = setting(
        120, "optimiser steps", unit="steps", low=1, high=10_000_000, source="measured"
    )
    learning_rate: float = setting(
        2e-3, "peak learning rate", low=1e-8, high=1.0, source="paper: 1e-4; from scratch: measured"
    )
    weight_decay: float = setting(0.05, "AdamW weight decay", low=0.0, source="Mask2Former")
    backbone_multiplier: float = setting(
        1.0,
        "learning rate of the backbone, times this; 0: frozen",
        low=0.0,
        high=1.0,
        source="paper: 0.1",
    )
    schedule: str = setting(
        "one-cycle", "learning rate over the run", choices=("one-cycle", "constant")
    )
    warmup: float = setting(0.1, "part of a one-cycle run that warms up", low=0.0, high=0.9)
    weights_multiplier: float = setting(
        0.1,
        "learning rate of a run that begins with a whole network's weights, times this",
        low=1e-4,
        high=1.0,
        source="paper: 1e-4",
    )
    clip_norm: float = setting(
        1.0, "full-model gradient clip", low=0.0, source="released: 0.01; from scratch: measured"
    )
    norm_clips: int = setting(
        30,
        "the batch norms' statistics are measured anew on this many clips before they are used; "
        "0: running means",
        unit="clips",
        low=0,
        source="Wu and Johnson 2021, precise BN; measured",
    )
    amp: bool = setting(True, "mixed precision on CUDA", source="released")
    checkpoint_every: int = setting(150, "steps between checkpoints", unit="steps", low=1)


@dataclasses.dataclass(frozen=True)
class RestartConfig(Section):
    """A run that goes on from the one before, after corrections."""

    steps: int = setting(
        12, "its optimiser steps", unit="steps", low=1, high=10_000_000, source="measured"
    )
    learning_rate: float = setting(
        0.3,
        "its peak learning rate",
        unit="of a fresh run's",
        low=1e-4,
        high=1.0,
        source="measured",
    )


@dataclasses.dataclass(frozen=True)
class PredictConfig(Section):
    """Prediction over a whole video."""

    clip_length: int = setting(5, "frames in a prediction clip", unit="frames", low=1, high=64)
    overlap: int = setting(
        2, "frames shared by neighbouring clips, averaged", unit="frames", low=0, high=63
    )
    mirror: bool = setting(
        False,
        "average every clip with its mirror image, where training saw such: half as fast",
        source="measured: J changes by less than between seeds",
    )
    middle_scale: bool = setting(
        True,
        "look at frames at the middle of the scales that training saw, not at the smallest",
        source="measured",
    )
    mask_threshold: float = setting(
        0.5, "probability above which a pixel is object", low=0.01, high=0.99
    )
    score_threshold: float = setting(
        0.3, "without boxes: least class score of an instance", low=0.0, high=1.0
    )
    clip_area: int = setting(
        5 * 640 * 640,
        "pixels of a prediction clip, all frames together; larger frames make shorter clips",
        unit="pixels",
        low=64 * 64,
    )
    stability_margin: float = setting(
        1.5,
        "a mask is stable that changes little when its threshold moves by this",
        unit="logit",
        low=0.0,
    )
    duplicate_overlap: float = setting(
        0.7, "without boxes: queries whose masks overlap more are one", low=0.0, high=1.0
    )
    link_overlap: float = setting(
        0.3, "without boxes: least overlap in shared frames of one instance", low=0.0, high=1.0
    )


@dataclasses.dataclass(frozen=True)
class InferenceConfig(Section):
    """Inference over a data set as it was published; not part of a run of one video."""

    split: str = setting("valid", "the part of the data set that is inferred and evaluated on")
    short_side: int = setting(
        360,
        "the frames' shorter side as the network sees them",
        unit="pixels",
        low=32,
        high=4096,
        source="released: 360; its Swin-L 480",
    )
    long_side: int = setting(
        1333,
        "their longer side at most",
        unit="pixels",
        low=32,
        high=8192,
        source="detectron2's default, which released keeps",
    )
    clip_length: int = setting(
        0,
        "frames that go through the network at once; 0: the whole video",
        unit="frames",
        low=0,
        high=10_000,
        source="released: the whole video",
    )
    overlap: int = setting(
        4,
        "frames shared by neighbouring clips, by which their queries are linked",
        unit="frames",
        low=1,
        high=10_000,
    )
    linked_queries: int = setting(
        20, "of a clip: the surest ones, which are linked to those of the clip before", low=1
    )
    link_overlap: float = setting(
        0.3, "least overlap (IoU) in the shared frames of one instance", low=0.0, high=1.0
    )
    frames_at_once: int = setting(
        2, "frames of which features are made, or masks enlarged, at once", unit="frames", low=1
    )
    top: int = setting(
        10,
        "of all pairs of a query and a class of a video, so many are kept",
        low=1,
        high=10_000,
        source="released: 10",
    )
    mask_threshold: float = setting(
        0.5,
        "probability above which a pixel is object",
        low=0.01,
        high=0.99,
        source="released: logits above 0",
    )
    tracking_score: float = setting(
        0.3,
        "BDD100K, whose masks may not overlap: tracks less sure than this are left out",
        low=0.0,
        high=1.0,
    )
    amp: bool = setting(True, "mixed precision on CUDA", source="released: evaluates with it")


@dataclasses.dataclass(frozen=True)
class CategoryConfig(Section):
    """What kind of place a pixel's matches lie in, by the structure tensor of its patch."""

    patch_size: int = setting(
        3,
        "side of the patch whose structure tensor is looked at",
        unit="grid cells",
        choices=(3, 5, 7, 9, 11, 13, 15),
        source="N of the matching",
    )
    low_eigenvalue: float = setting(
        4.0,
        "an eigenvalue below this is low; 4 = (D/N)^2: moved by one cell, the patch still matches",
        unit="Lab^2 per cell^2",
        low=0.0,
        source="from D=5.99 and N=3; looked at on real frames",
    )
    edge_ratio: float = setting(
        0.35,
        "smaller eigenvalue at most this times the larger: an edge",
        low=0.0,
        high=1.0,
        source="measured: a slanted edge averaged onto the grid reaches 0.33, noise is above",
    )


@dataclasses.dataclass(frozen=True)
class ResidualConfig(Section):
    """Where the masks of matched pixels are said to disagree."""

    covered: float = setting(
        0.5, "a cell is the object when so much of it is", unit="of the cell", low=0.0, high=1.0
    )
    majority: float = setting(
        0.5,
        "a cell counts as wrong when so many of its matches disagree",
        unit="of the matches",
        low=0.01,
        high=1.0,
    )
    fewest_cells: int = setting(
        4, "fewer wrong cells of a track are not worth a word", unit="grid cells", low=1
    )
    frames_kept: int = setting(
        8, "frames whose colours are kept for the next residual", unit="frames", low=3
    )


@dataclasses.dataclass(frozen=True)
class VideoConfig(Section):
    """How frames are read and kept."""

    cache_bytes: int = setting(
        256 * 2**20, "decoded frames kept in memory", unit="bytes", low=0, source="measured"
    )
    run_bytes: int = setting(
        64 * 2**20,
        "no more decoded frames are kept by a run or a prediction: a long video takes no more "
        "memory than a short one",
        unit="bytes",
        low=0,
    )
    working_bytes: int = setting(
        48 * 2**20, "frames at the size that is trained on, kept by a run", unit="bytes", low=0
    )
    decoded_part: float = setting(
        0.75,
        "part of cache_bytes for a video file's frames as decoded, the others are RGB",
        low=0.0,
        high=1.0,
        source="measured: RGB takes twice the bytes, and it is quickly made",
    )
    max_decode_ahead: int = setting(
        8,
        "decode forward rather than seek where a seek would save no more than this",
        unit="frames",
        low=0,
        source="measured: what a seek costs",
    )
    intensity_low: float = setting(
        0.1, "percentile of 16-bit and float data that becomes black", unit="%", low=0, high=50
    )
    intensity_high: float = setting(
        99.95, "percentile of 16-bit and float data that becomes white", unit="%", low=50, high=100
    )
    intensity_frames: int = setting(
        16, "frames looked at for the percentiles", unit="frames", low=1
    )
    intensity_pixels: int = setting(
        2**18, "pixels looked at in each of those frames", unit="pixels", low=1
    )
    keep_behind: int = setting(
        1000,
        "frames before the one asked for that are kept when they were decoded on the way to it, "
        "as far as cache_bytes allow",
        unit="frames",
        low=0,
    )
    index_checks: int = setting(
        8, "frames decoded when a file is opened, to check its frame index", unit="frames", low=1
    )
    size_checks: int = setting(
        64,
        "pictures of a folder whose size is checked when it is opened; the others when read",
        unit="files",
        low=2,
    )
    end_slack: float = setting(
        2.0, "a file that ends this long before its announced end is cut off", unit="frames", low=0
    )

    def for_run(self) -> VideoConfig:
        """Return these settings for a run or a prediction, which keep less."""
        return dataclasses.replace(self, cache_bytes=min(self.cache_bytes, self.run_bytes))


@dataclasses.dataclass(frozen=True)
class FramePrintsConfig(Section):
    """How a session knows its video again; not part of a run's config."""

    samples: int = setting(32, "frames of the video whose prints are kept", unit="frames", low=4)
    side: int = setting(
        24,
        "a print is the frame in grey, averaged down to a square of this side",
        unit="pixels",
        low=4,
        high=64,
    )
    decoded: int = setting(
        600, "frames decoded at most to make the prints", unit="frames", low=1, source="measured"
    )
    looks: int = setting(
        8, "prints compared first; where all are exactly the same no more is done", low=2
    )
    whole: int = setting(
        1500,
        "a video of no more frames is looked through whole for where its frames went, of a longer "
        "one the frames around some prints",
        unit="frames",
        low=1,
        source="measured: seconds",
    )
    anchors: int = setting(6, "of how many prints, in a longer video", low=3)
    near: int = setting(48, "frames before and after those prints", unit="frames", low=1)
    same: float = setting(
        0.1,
        "prints that differ by no more show the same frame: mean square, as a part of the variance",
        low=0.0,
        high=1.0,
        source="measured: 0.001 to 0.02 after encoding again, above 0.5 between other frames",
    )
    floor: float = setting(
        9.0,
        "added to the variance: a plain frame has hardly any, and what a coder adds is no picture",
        unit="grey levels squared",
        low=0.0,
    )
    agree: float = setting(
        0.8, "part of the prints that must fit the same offset", low=0.0, high=1.0
    )
    clear: float = setting(
        1.25, "another offset must fit worse by this factor, else neither is told", low=1.0
    )
    faint: float = setting(
        1e-4, "and by this much, as `same`: less is a coder's noise", low=0.0, source="measured"
    )
    doubt: float = setting(
        2e-3,
        "a video of the same length is the same where no offset fits better by more than this",
        low=0.0,
        source="measured: below 1e-3 between frames of a still picture, encoded again",
    )
    pieces: float = setting(
        0.6, "part of the prints that must fit where frames are missing in between", low=0.0, high=1
    )


@dataclasses.dataclass(frozen=True)
class MetricConfig(Section):
    """How masks are scored; not part of a run's config."""

    boundary_tolerance: float = setting(
        0.008,
        "boundary pixels match within this part of the frame's diagonal, rounded up to pixels",
        unit="of the diagonal; 1 or more: pixels",
        low=0.0,
        source="DAVIS 2016",
    )


@dataclasses.dataclass(frozen=True)
class AblationConfig(Section):
    """How settings are compared over clips and seeds; no part of a run's settings."""

    steps: int = setting(150, "optimiser steps of a job", unit="steps", low=1)
    seeds: tuple[int, ...] = setting((0, 1, 2), "seeds that every setting is run with", low=0)
    threads: int = setting(
        1,
        "threads of a job, however many run side by side: else numbers would hang on that",
        low=1,
        high=256,
    )
    confidence: float = setting(
        0.95, "of the intervals of differences", low=0.5, high=0.999, source="convention"
    )
    same: float = setting(
        0.01,
        "settings whose difference surely lies within this are as good as each other",
        unit="J",
        low=0.0,
        high=1.0,
    )
    frames: int = setting(24, "of a generated clip", unit="frames", low=3, high=1000)
    width: int = setting(320, "of a generated clip", unit="pixels", low=64, high=4096)
    height: int = setting(192, "of a generated clip", unit="pixels", low=64, high=4096)
    objects: int = setting(
        2, "objects of a generated clip, one more in every other", low=1, high=32
    )
    most_generated: int = setting(64, "generated clips", unit="clips", low=1)


@dataclasses.dataclass(frozen=True)
class AuditConfig(Section):
    """What in a person's boxes is pointed at; not part of a run's config."""

    jump: float = setting(
        0.5,
        "a side that moves by more from one frame to the next, between keyframes, jumps",
        unit="of the box",
        low=0.0,
    )
    growth: float = setting(
        1.5, "an area that changes by a larger factor from one frame to the next jumps", low=1.0
    )
    long_gap: int = setting(
        30, "keyframes further apart are far apart where the box moves", unit="frames", low=1
    )
    moved: float = setting(
        0.5, "between those a side that travels by more has moved", unit="of the box", low=0.0
    )
    same: float = setting(
        0.85, "boxes of two tracks that overlap (IoU) by more are one", low=0.0, high=1.0
    )
    loose: float = setting(
        0.15, "a box with more free room on a side is loose", unit="of the box", low=0.0, high=1.0
    )
    cut: float = setting(
        0.6,
        "a mask that lies along more of a side is cut there",
        unit="of the side",
        low=0.0,
        high=1.0,
    )
    least_room: float = setting(3.0, "less room than this is never loose", unit="pixels", low=0.0)
    most_frames: int = setting(200, "masks are read of no more than these", unit="frames", low=2)


@dataclasses.dataclass(frozen=True)
class PreflightConfig(Section):
    """How time and memory are estimated before a run; not part of a run's config."""

    frames: int = setting(
        10, "frames of the video that are looked at; more where a clip is longer", low=1
    )
    warm_up: int = setting(1, "steps taken before those that are measured", unit="steps", low=0)
    steps: int = setting(2, "steps that are measured", unit="steps", low=1)
    memory_share: float = setting(
        0.9, "a run may need this part of the memory that is free", low=0.05, high=1.0
    )
    least_clip: int = setting(
        2, "a shorter training clip has this many", unit="frames", low=1, high=16
    )
    least_predict_clip: int = setting(
        3, "and a shorter prediction clip this many", unit="frames", low=1, high=64
    )
    frame_share: float = setting(0.5, "a smaller frame has this part of the area", low=0.05)
    least_frame_area: int = setting(
        128 * 128, "frames do not become smaller than this", unit="pixels", low=64 * 64
    )
    order: tuple[str, ...] = ("amp", "clip", "frame", "freeze", "cpu")
    """What is tried in turn where a run does not fit, see :mod:`maskfree.fallbacks`."""


@dataclasses.dataclass(frozen=True)
class PreviewConfig(Section):
    """A few frames, predicted again and again while a run goes on; not part of a run's config."""

    frames: int = setting(3, "frames that are looked at where nobody chose any", low=1, high=4)
    most_frames: int = setting(4, "most frames that one may choose", low=1)
    most_gold: int = setting(
        4, "most gold frames that a preview is scored on, spread over them", unit="frames", low=1
    )
    every: int = setting(10, "fewest steps from one preview to the next", unit="steps", low=1)
    share: float = setting(
        0.05,
        "previews wait until those before them took no more than this part of the steps' time",
        low=0.001,
        high=1.0,
    )
    clip_length: int = setting(
        3, "frames of the clip around a chosen frame", unit="frames", low=1, high=64
    )
    picture_side: int = setting(240, "longer side of the kept pictures", unit="pixels", low=32)
    picture_shape: float = setting(
        4 / 3, "their width, where there is room around the boxes", unit="of the height", low=0.1
    )
    margin: float = setting(
        0.3, "a picture shows this much around the frame's boxes", unit="of their size", low=0.0
    )


@dataclasses.dataclass(frozen=True)
class JournalConfig(Section):
    """How edits are kept as they are made; not part of a run's config."""

    most_bytes: int = setting(
        8 << 20,
        "of a journal beside the boxes that it begins with; a larger one is written anew when it "
        "is opened, with the steps of undo alone; some 20 000 edits of boxes",
        unit="bytes",
        low=1,
    )
    line_bytes: int = setting(
        1 << 28, "longest line of a journal: the boxes it begins with", unit="bytes", low=1
    )


@dataclasses.dataclass(frozen=True)
class FormatConfig(Section):
    """How annotation files are written and read; not part of a run's config."""

    name_digits: int = setting(5, "digits of a frame's name where the source has none", low=1)
    frame_suffix: str = setting(
        ".jpg", "suffix of frame files whose names are not known", source="YouTube-VIS"
    )
    frames_per_file: int = setting(
        1000, "PNGs whose numbers are sparser than this are not numbered by frame", low=1
    )
    most_side: int = setting(1 << 15, "longest side of a frame in a file", unit="pixels", low=1)
    most_pixels: int = setting(
        1 << 26,
        "of one frame in a file; an 8K video has 33 million, a square of 8192 pixels this many",
        unit="pixels",
        low=1,
    )
    frame_pixels: int = setting(
        1 << 29, "of all masks of one frame together (one byte each)", unit="pixels", low=1
    )
    polygon_length: int = setting(
        1_000_000, "of the sides of one polygon together", unit="pixels", low=1
    )
    line_bytes: int = setting(1 << 24, "longest line of a text file", unit="bytes", low=1)
    box_tolerance: float = setting(
        1e-6, "a box read back may differ by this (rounding)", unit="pixels", low=0.0
    )
    names_shown: int = setting(4, "most frames or labels named in one message", low=2)
    chunk_bytes: int = setting(
        65536, "of a file that is walked over, read at once", unit="bytes", low=1
    )
    value_bytes: int = setting(
        1024, "read at once where one frame's value is looked up", unit="bytes", low=1
    )
    spool_bytes: int = setting(
        1 << 20,
        "of texts that grow side by side, kept in memory; more in a file",
        unit="bytes",
        low=1,
    )
    most_frames: int = setting(
        10_000_000, "a file that says more of its video is refused", unit="frames", low=1
    )
    most_head_bytes: int = setting(
        1 << 20, "of small files beside others (seqinfo.ini, labels.txt)", unit="bytes", low=1
    )
    most_boxes: int = setting(
        1 << 27,
        "places for boxes, frames times instances, of BDD100K's videos together; 16 bytes each",
        low=1,
    )
    least_visible: float = setting(
        0.5, "a box of which less is visible is read as occluded", low=0.0, high=1.0, source="MOT"
    )
    assumed_fps: float = setting(
        24.0,
        "times in a file where nothing says it",
        unit="frames a second",
        low=1.0,
        source="Label Studio",
    )
    interpolation_tolerance: float = setting(
        0.02,
        "a box between keyframes that differs by more from the line is a keyframe",
        unit="pixels",
        low=0.0,
        source="CVAT rounds to 0.01",
    )
    chunk_runs: int = setting(
        1 << 18, "run lengths that an npz file collects before they are written", low=1
    )
    array_bytes: int = setting(
        1 << 27, "most that one array of an npz file that is read may take", unit="bytes", low=1
    )
    video_crf: int = setting(
        18, "of a video with masks drawn on it; lower is better", low=0, high=51, source="x264"
    )
    gif_frames: int = setting(150, "most frames of an animation, evenly spread", low=2)
    gif_side: int = setting(480, "longest side of an animation", unit="pixels", low=16)
    picture_difference: float = setting(
        12.0,
        "mean difference to what was drawn beyond which a picture is another one",
        unit="grey levels",
        low=0.0,
    )
    most_chunks: int = setting(
        1 << 14, "of one frame of a zarr array that is read; each is a file", low=1
    )
    line_characters: int = setting(
        1 << 16, "most characters of one line of a table that is read", low=80
    )
    video_pixels: int = setting(
        1 << 28, "of one frame of a video; more are not read", unit="pixels", low=1
    )
    json_bytes: int = setting(
        1 << 28,
        "longest JSON file that is read at once; a box a frame takes 70",
        unit="bytes",
        low=1,
    )
    json_memory: int = setting(
        1 << 30,
        "that the values of such a file may take, by its brackets and commas",
        unit="bytes",
        low=1,
    )
    log_bytes: int = setting(
        1 << 28, "longest log of a run that is read; a step takes some 400", unit="bytes", low=1
    )


@dataclasses.dataclass(frozen=True)
class Config(Section):
    """All sections together: what a run is made with, saved beside its weights.

    ``preset`` names the starting point that the other values were changed from.
    """

    preset: str = "tiny"
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    pairwise: PairwiseConfig = dataclasses.field(default_factory=PairwiseConfig.from_scratch)
    temporal: TemporalKNNConfig = dataclasses.field(default_factory=TemporalKNNConfig.from_scratch)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    evidence: EvidenceConfig = dataclasses.field(default_factory=EvidenceConfig)
    consensus: ConsensusConfig = dataclasses.field(default_factory=ConsensusConfig)
    corrections: CorrectionsConfig = dataclasses.field(default_factory=CorrectionsConfig)
    prior: PriorConfig = dataclasses.field(default_factory=PriorConfig)
    matching: MatchingConfig = dataclasses.field(default_factory=MatchingConfig)
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    follow: FollowConfig = dataclasses.field(default_factory=FollowConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = dataclasses.field(default_factory=OptimiserConfig)
    restart: RestartConfig = dataclasses.field(default_factory=RestartConfig)
    predict: PredictConfig = dataclasses.field(default_factory=PredictConfig)
    category: CategoryConfig = dataclasses.field(default_factory=CategoryConfig)
    video: VideoConfig = dataclasses.field(default_factory=VideoConfig)


@dataclasses.dataclass(frozen=True)
class ScheduleConfig(Section):
    """How a network is trained on a data set: batches, AdamW and its rate, what is kept.

    *Mask2Former* is its recipe for videos (arXiv 2112.10764, configs/youtubevis_2019), which the
    released code takes over. A batch is that of all processes together.
    """

    steps: int = setting(
        6000,
        "optimiser steps",
        unit="steps",
        low=1,
        high=10_000_000,
        source="Mask2Former, released: 6000 on YouTube-VIS 2019",
    )
    batch_size: int = setting(
        16,
        "clips of a step, over all processes and accumulated parts",
        unit="clips",
        low=1,
        high=65536,
        source="Mask2Former, released: 16",
    )
    learning_rate: float = setting(
        1e-4, "learning rate at the start", low=1e-8, high=1.0, source="paper, Mask2Former: 1e-4"
    )
    weight_decay: float = setting(
        0.05,
        "AdamW weight decay; none for norms and embeddings",
        low=0.0,
        source="Mask2Former: 0.05, WEIGHT_DECAY_NORM and _EMBED 0",
    )
    backbone_multiplier: float = setting(
        0.1,
        "learning rate of the backbone, times this; 0: frozen",
        low=0.0,
        high=1.0,
        source="paper, Mask2Former: 0.1",
    )
    decay_steps: tuple[int, ...] = setting(
        (4000,),
        "after so many steps the rate falls by decay_factor, each time",
        unit="steps",
        low=1,
        source="Mask2Former, released: 4000 of 6000",
    )
    decay_factor: float = setting(
        0.1, "the rate is multiplied by this", low=0.0, high=1.0, source="Mask2Former: 0.1"
    )
    warmup_steps: int = setting(
        10, "steps of linear warm-up of the rate", unit="steps", low=0, source="Mask2Former: 10"
    )
    warmup_factor: float = setting(
        1.0,
        "the rate begins with this part of itself; 1: no warm-up",
        low=0.0,
        high=1.0,
        source="Mask2Former: 1, which makes its 10 steps of warm-up none",
    )
    clip_norm: float = setting(
        0.01,
        "full-model gradient clip, L2; 0: none",
        low=0.0,
        source="Mask2Former, released: 0.01",
    )
    precision: str = setting(
        "fp16",
        "mixed precision on CUDA; a CPU computes in single precision unless bf16 is asked for",
        choices=("no", "fp16", "bf16"),
        source="Mask2Former: AMP, half precision",
    )
    accumulate: int = setting(
        1,
        "parts in which a process computes its share of a batch, one after the other",
        unit="parts",
        low=1,
        high=65536,
        source="not stated; ours, for small GPUs: the batch stays what it is",
    )
    gradient_checkpointing: bool = setting(
        False,
        "what the backbone saw is computed again when its gradient is: less memory, more time",
        source="released: for Swin (USE_CHECKPOINT), off",
    )
    ema_decay: float = setting(
        0.0,
        "a running mean of the weights is kept beside them, this part of it kept a step; 0: none",
        low=0.0,
        high=0.999999,
        source="not stated; ours, off",
    )
    batch_mean: str = setting(
        "instance",
        "mask losses of a batch: mean over its clips, or over the instances of all of them",
        choices=("clip", "instance"),
        source="Mask2Former, released: instance (num_masks of all processes)",
    )
    checkpoint_every: int = setting(
        1000,
        "steps between checkpoints; every evaluation writes one as well",
        unit="steps",
        low=1,
        source="detectron2: 5000",
    )
    evaluate_every: int = setting(
        0,
        "steps between evaluations; 0: none",
        unit="steps",
        low=0,
        source="detectron2: 0 (TEST.EVAL_PERIOD)",
    )
    keep: int = setting(
        2, "checkpoints that stay, the newest; 0: all", low=0, source="not stated; ours"
    )
    workers: int = setting(
        4,
        "processes that read clips, for each process that trains; 0: it reads them itself",
        low=0,
        high=256,
        source="detectron2: 4",
    )
    read_ahead: int = setting(
        2, "batches that each of them has ready", unit="batches", low=1, high=64, source="torch: 2"
    )


@dataclasses.dataclass(frozen=True)
class RecipeConfig(Section):
    """Everything that training on a data set takes; without more, as the released code has it.

    A recipe is a TOML file whose tables are these sections, see :mod:`maskfree.recipes.recipe`.
    """

    name: str = setting("", "the recipe's name")
    about: str = setting("", "what it is for, and where its numbers come from")
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    pairwise: PairwiseConfig = dataclasses.field(default_factory=PairwiseConfig.released)
    temporal: TemporalKNNConfig = dataclasses.field(default_factory=TemporalKNNConfig.released)
    objective: ObjectiveConfig = dataclasses.field(
        default_factory=lambda: ObjectiveConfig(outside_weight=0.0, temporal_mean=False)
    )
    matching: MatchingConfig = dataclasses.field(
        default_factory=lambda: MatchingConfig(mode="tube")
    )
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    extra: DataConfig = dataclasses.field(default_factory=lambda: DataConfig(kind="coco"))
    extra_share: float = setting(
        0.0,
        "part of the clips that come from the extra data set, in joint training; 0: none",
        low=0.0,
        high=1.0,
        source="released: none; joint: COCO's pictures beside the videos",
    )
    schedule: ScheduleConfig = dataclasses.field(default_factory=ScheduleConfig)
    inference: InferenceConfig = dataclasses.field(default_factory=InferenceConfig)

    def config(self) -> Config:
        """Return what :class:`maskfree.objective.Objective` and a checkpoint take.

        What is ours, for one video without pretrained weights, is off: evidence, consensus, prior.
        """
        return Config(
            preset="released",
            model=self.model,
            pairwise=self.pairwise,
            temporal=self.temporal,
            objective=self.objective,
            evidence=EvidenceConfig(seek=False, weight=0.0),
            consensus=ConsensusConfig(train=False, refine=False),
            prior=PriorConfig(weight=0.0),
            matching=self.matching,
            sampling=SamplingConfig(clip_length=self.data.clip_length, contrast=0.0),
            follow=FollowConfig(between=False, held_passes=0),
            optimiser=OptimiserConfig(norm_clips=0),
        )
