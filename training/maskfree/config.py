"""Every hyper-parameter, once, with unit, range and source.

Sources: *paper* is Mask-Free Video Instance Segmentation (CVPR 2023, arXiv 2303.15904); *released*
is its code (SysCV/MaskFreeVIS); *Mask2Former* is CVPR 2022 (arXiv 2112.01527) and *BoxInst* CVPR
2021 (arXiv 2012.02310); *measured* means chosen by ``training/benchmarks/quality.py``. The
mechanism behind :func:`~maskfree.settings.setting` is in ``settings.py``.
"""

from __future__ import annotations

import dataclasses

from maskfree.settings import Section, setting

__all__ = [
    "AugmentConfig",
    "CategoryConfig",
    "Config",
    "EvidenceConfig",
    "MatchingConfig",
    "ModelConfig",
    "ObjectiveConfig",
    "OptimiserConfig",
    "PairwiseConfig",
    "PredictConfig",
    "PriorConfig",
    "SamplingConfig",
    "TemporalKNNConfig",
    "VideoConfig",
]


@dataclasses.dataclass(frozen=True)
class ModelConfig(Section):
    """Mask2Former-video: sizes of backbone, pixel decoder and transformer decoder."""

    backbone_sizes: tuple[int, ...] = setting(
        (32, 64, 96, 128), "channels of the four ResNet stages", unit="channels", source="measured"
    )
    backbone_depths: tuple[int, ...] = setting(
        (1, 1, 1, 1), "basic blocks in each ResNet stage", unit="blocks", source="measured"
    )
    hidden_size: int = setting(
        64, "width of pixel decoder, queries and mask features", unit="channels", low=16, high=1024
    )
    feedforward_size: int = setting(
        128, "width of the feed-forward layers", unit="channels", low=16, high=8192
    )
    num_heads: int = setting(4, "attention heads", low=1, high=32)
    encoder_layers: int = setting(2, "deformable-attention layers of the pixel decoder", low=1)
    decoder_layers: int = setting(
        4, "decoder outputs, the one on the query features included", low=2, high=12
    )
    num_queries: int = setting(
        8, "decoder slots; more are made when a video has more tracks", low=1, high=2000
    )


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
    weight: float = setting(1.0, "weight of the loss", low=0.0, source="paper: 1")

    @classmethod
    def paper(cls) -> PairwiseConfig:
        """Return the setting of the paper."""
        return cls()

    @classmethod
    def released(cls) -> PairwiseConfig:
        """Return the setting of the released code (the same as the paper's)."""
        return cls()


@dataclasses.dataclass(frozen=True)
class TemporalKNNConfig(Section):
    """Temporal KNN-patch loss (TK-Loss) and the 1:K matching that it stands on."""

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
        3, "N: side of the compared Lab patches (odd)", unit="grid cells", low=1, high=15
    )
    max_distance: float = setting(
        5.99,
        "D: matches further apart are dropped; 5.99 = -2 ln 0.05, the released affinity floor",
        unit="Lab, L2 over the patch",
        low=0.0,
        source="paper, read through the released code",
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
        "only pixels inside the union of the instance's boxes over the clip count",
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

    @classmethod
    def paper(cls) -> TemporalKNNConfig:
        """Return R=5, K=5, N=3 on a cyclic tube, over the whole grid."""
        return cls()

    @classmethod
    def released(cls) -> TemporalKNNConfig:
        """Return the released code's 9 candidates, dense pairs of T=3, weight 0.1."""
        return cls(
            search_radius=3,
            window="square",
            candidate_stride=3,
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
    """Weights of the total objective."""

    class_weight: float = setting(2.0, "weight of the classification", low=0.0, source="paper")
    mask_weight: float = setting(5.0, "weight of all mask terms", low=0.0, source="paper")
    no_object_weight: float = setting(
        0.1, "class weight of queries without object", low=0.0, high=1.0, source="Mask2Former"
    )
    projection_weight: float = setting(1.0, "weight of the box projection", low=0.0, source="paper")
    outside_weight: float = setting(
        1.0, "weight of 'outside its box a pixel is not this instance'", low=0.0, source="measured"
    )
    deep_supervision: bool = setting(
        True, "losses on every decoder layer's output", source="Mask2Former"
    )


@dataclasses.dataclass(frozen=True)
class EvidenceConfig(Section):
    """Background seen elsewhere: in-box pixels that other frames show to be background."""

    weight: float = setting(1.0, "weight of the evidence terms; 0 switches them off", low=0.0)
    max_sources: int = setting(
        16, "other frames looked at for a frame, spread over the video", unit="frames", low=1
    )
    background_distance: float = setting(
        4.0, "at most this Lab distance to seen background: background", unit="Lab", low=0.0
    )
    object_distance: float = setting(
        15.0, "at least this Lab distance, where seen: object", unit="Lab", low=0.0
    )
    calibration_quantile: float = setting(
        0.98,
        "the object distance is raised to this quantile of certain background's own distance",
        low=0.5,
        high=1.0,
        source="measured",
    )
    max_corners: int = setting(400, "corners followed between frames", low=8, unit="points")
    min_inliers: int = setting(
        12, "fewer agreeing corners than this: motion unknown, no evidence", low=4, unit="points"
    )
    ransac_threshold: float = setting(
        2.0, "reprojection error of an agreeing corner", unit="pixels", low=0.1
    )
    box_margin: float = setting(
        0.05, "boxes grown by this before 'outside' is certain", unit="of the box", low=0.0
    )


@dataclasses.dataclass(frozen=True)
class PriorConfig(Section):
    """Decaying centre prior: gets the start right where there is no evidence."""

    weight: float = setting(1.0, "weight at the first step; 0 switches it off", low=0.0)
    centre: float = setting(
        0.25,
        "pixels within this radius of the box centre are object",
        unit="of the box's half",
        low=0.0,
        high=1.0,
    )
    corner: float = setting(
        1.15,
        "pixels beyond this radius are background",
        unit="of the box's half",
        low=0.0,
        high=1.5,
    )
    until: float = setting(0.5, "weight falls to zero by this part of the run", low=0.0, high=1.0)


@dataclasses.dataclass(frozen=True)
class MatchingConfig(Section):
    """How predictions are assigned to the annotated tubes."""

    mode: str = setting(
        "bound",
        "bound: track i to query i; tube: the paper's box-mask matching; frame: per-frame boxes",
        choices=("bound", "tube", "frame"),
        source="paper: tube; bound for one video from scratch (measured)",
    )
    num_points: int = setting(
        12544, "points sampled for the dice cost", unit="points", low=1, source="Mask2Former"
    )
    class_cost: float = setting(2.0, "weight of the class cost", low=0.0, source="paper")
    dice_cost: float = setting(5.0, "weight of the dice cost", low=0.0, source="paper")


@dataclasses.dataclass(frozen=True)
class SamplingConfig(Section):
    """Which clips training looks at, and at which size."""

    clip_length: int = setting(3, "T: frames in a training clip", unit="frames", low=1, high=16)
    max_gap: int = setting(
        2, "largest step between two frames of a clip", unit="frames", low=1, high=64
    )
    frame_area: int = setting(
        448 * 256, "area of a training frame or crop", unit="pixels", low=64 * 64, high=4096 * 4096
    )
    object_size: float = setting(
        56.0, "small objects are enlarged until half of them are this large", unit="pixels", low=8
    )
    max_enlarge: float = setting(4.0, "largest enlargement of the video's own pixels", low=1.0)


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Section):
    """Changes made to a training clip, the same for all of its frames."""

    flip: bool = setting(True, "mirror left and right, half of the time")
    scale_jitter: float = setting(
        0.2, "scale drawn from 1 - this to 1 + this", low=0.0, high=0.9, source="measured"
    )
    colour_jitter: float = setting(
        0.15, "brightness, contrast and saturation change by up to this", low=0.0, high=0.9
    )


@dataclasses.dataclass(frozen=True)
class OptimiserConfig(Section):
    """AdamW, its schedule and the length of a run."""

    steps: int = setting(300, "optimiser steps", unit="steps", low=1, high=10_000_000)
    learning_rate: float = setting(
        1e-3, "peak learning rate", low=1e-8, high=1.0, source="paper: 1e-4; from scratch: measured"
    )
    weight_decay: float = setting(0.05, "AdamW weight decay", low=0.0, source="Mask2Former")
    backbone_multiplier: float = setting(
        1.0, "learning rate of the backbone, times this", low=0.0, high=1.0, source="paper: 0.1"
    )
    schedule: str = setting(
        "one-cycle", "learning rate over the run", choices=("one-cycle", "constant")
    )
    warmup: float = setting(0.1, "part of a one-cycle run that warms up", low=0.0, high=0.9)
    clip_norm: float = setting(
        1.0, "full-model gradient clip", low=0.0, source="released: 0.01; from scratch: measured"
    )
    amp: bool = setting(True, "mixed precision on CUDA", source="released")
    checkpoint_every: int = setting(100, "steps between checkpoints", unit="steps", low=1)


@dataclasses.dataclass(frozen=True)
class PredictConfig(Section):
    """Prediction over a whole video."""

    clip_length: int = setting(5, "frames in a prediction clip", unit="frames", low=1, high=64)
    overlap: int = setting(
        2, "frames shared by neighbouring clips, averaged", unit="frames", low=0, high=63
    )
    mask_threshold: float = setting(0.5, "probability above which a pixel is object", low=0, high=1)
    score_threshold: float = setting(
        0.3, "without boxes: least class score of an instance", low=0.0, high=1.0
    )
    box_margin: float = setting(
        0.1,
        "between keyframes a mask may reach this far beyond its box",
        unit="of the box",
        low=0.0,
        source="measured",
    )


@dataclasses.dataclass(frozen=True)
class CategoryConfig(Section):
    """What kind of place a pixel's matches lie in, by the structure tensor of its patch."""

    low_eigenvalue: float = setting(
        1.0, "an eigenvalue below this is low", unit="Lab^2 per cell^2", low=0.0, source="measured"
    )
    edge_ratio: float = setting(
        0.2, "smaller eigenvalue at most this times the larger: an edge", low=0.0, high=1.0
    )
    smoothing: float = setting(1.0, "sigma of the tensor's window", unit="grid cells", low=0.1)


@dataclasses.dataclass(frozen=True)
class VideoConfig(Section):
    """How frames are read and kept."""

    cache_bytes: int = setting(
        256 * 2**20, "decoded frames kept in memory", unit="bytes", low=0, source="measured"
    )
    max_decode_ahead: int = setting(
        64, "decode forward rather than seek when the frame is this near", unit="frames", low=0
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


@dataclasses.dataclass(frozen=True)
class Config(Section):
    """All sections together: what a run is made with, saved beside its weights."""

    preset: str = setting("tiny", "the named starting point of this config")
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    pairwise: PairwiseConfig = dataclasses.field(default_factory=PairwiseConfig)
    temporal: TemporalKNNConfig = dataclasses.field(default_factory=TemporalKNNConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    evidence: EvidenceConfig = dataclasses.field(default_factory=EvidenceConfig)
    prior: PriorConfig = dataclasses.field(default_factory=PriorConfig)
    matching: MatchingConfig = dataclasses.field(default_factory=MatchingConfig)
    sampling: SamplingConfig = dataclasses.field(default_factory=SamplingConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    optimiser: OptimiserConfig = dataclasses.field(default_factory=OptimiserConfig)
    predict: PredictConfig = dataclasses.field(default_factory=PredictConfig)
    category: CategoryConfig = dataclasses.field(default_factory=CategoryConfig)
    video: VideoConfig = dataclasses.field(default_factory=VideoConfig)
