"""13 of 20 networks of other packages: the ones that whoever writes the translation may look at.

Of every three in the order of the two lists together one was drawn for the other list. `Makefile` pins the packages.
"""

import denoiser.demucs
import diffusers
import transformers
from pytorch_tcn import TCN
from pytorchcv.models.bisenet import bisenet_resnet18_celebamaskhq
from pytorchcv.models.centernet import CenterNet
from pytorchcv.models.resnet import resnet18
from resselt.archs.esrgan.arch import RRDBNet
from resselt.archs.swinir.arch import SwinIR
from snac import SNAC
from x_transformers import Encoder, ViTransformerWrapper

from tests.translated.network import Integers, Network


def stages():
    """ResNet-18 without its last pooling, as pytorchcv's functions of backbones cut it."""
    layers = resnet18().features
    del layers[-1]
    return layers


NETWORKS = (
    # Audio.
    Network(
        "Demucs, speech",
        lambda: denoiser.demucs.Demucs(hidden=6, depth=3, resample=2),
        ((2, 1, 1500),),
        ((1, 1, 2111),),
    ),
    Network(
        "SNAC",
        lambda: SNAC(16000, 16, [2, 3, 4], None, 64, [4, 3, 2], 8, 32, 5, [4, 2, 1], False),
        ((2, 1, 700),),
        ((1, 1, 1100),),
    ),
    Network(
        "TCN",
        lambda: TCN(5, [8, 12, 10], 3, use_skip_connections=True, output_projection=4),
        ((2, 5, 40),),
        ((1, 5, 61),),
    ),
    Network(
        "HiFi-GAN",
        lambda: transformers.SpeechT5HifiGan(
            transformers.SpeechT5HifiGanConfig(
                model_in_dim=10,
                upsample_initial_channel=24,
                upsample_rates=(4, 3),
                upsample_kernel_sizes=(8, 7),
                resblock_kernel_sizes=(3, 5),
                resblock_dilation_sizes=((1, 3), (1, 2)),
            )
        ),
        ((2, 21, 10),),
        ((1, 33, 10),),
    ),
    # Super-resolution and denoising.
    Network("ESRGAN", lambda: RRDBNet(num_filters=8, num_blocks=3), ((2, 3, 12, 17),), ((1, 3, 20, 10),)),
    Network(
        "SwinIR",
        lambda: SwinIR(img_size=(16, 24), embed_dim=12, depths=[2, 2], num_heads=[2, 3], window_size=4),
        ((2, 3, 16, 24),),
        ((1, 3, 21, 18),),
    ),
    # Generation.
    Network(
        "UNet2DModel",
        lambda: diffusers.UNet2DModel(
            (20, 28),
            3,
            2,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            attention_head_dim=4,
            norm_num_groups=4,
        ),
        ((2, 3, 20, 28), Integers((2,), 1000)),
        ((1, 3, 24, 16), Integers((1,), 1000)),
    ),
    Network(
        "UNet2DConditionModel",
        lambda: diffusers.UNet2DConditionModel(
            (20, 28),
            4,
            4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(8, 16),
            layers_per_block=1,
            attention_head_dim=4,
            norm_num_groups=4,
            cross_attention_dim=11,
        ),
        ((2, 4, 20, 28), Integers((2,), 1000), (2, 7, 11)),
        ((1, 4, 24, 16), Integers((1,), 1000), (1, 9, 11)),
    ),
    # Depth.
    Network(
        "GLPN",
        lambda: transformers.GLPNForDepthEstimation(
            transformers.GLPNConfig(
                depths=(1, 2, 1, 1),
                hidden_sizes=(8, 12, 16, 24),
                num_attention_heads=(1, 2, 2, 4),
                decoder_hidden_size=10,
            )
        ),
        ((2, 3, 64, 96),),
        ((1, 3, 96, 64),),
    ),
    # Segmentation.
    Network(
        "SegFormer",
        lambda: transformers.SegformerForSemanticSegmentation(
            transformers.SegformerConfig(
                depths=(1, 2, 1, 1),
                hidden_sizes=(8, 12, 16, 24),
                num_attention_heads=(1, 2, 2, 4),
                decoder_hidden_size=20,
                num_labels=5,
            )
        ),
        ((2, 3, 64, 96),),
        ((1, 3, 96, 64),),
    ),
    Network(
        "BiSeNet",
        lambda: bisenet_resnet18_celebamaskhq(num_classes=5, aux=False, in_size=(64, 96)),
        ((1, 3, 64, 96),),
        None,
    ),
    # Detection.
    Network(
        "CenterNet",
        lambda: CenterNet(stages(), 512, [24, 20, 16], True, num_classes=6),
        ((1, 3, 64, 96),),
        ((2, 3, 96, 64),),
    ),
    # Transformers.
    Network(
        "x-transformers' ViT",
        lambda: ViTransformerWrapper(
            image_size=48,
            patch_size=8,
            num_classes=5,
            num_register_tokens=2,
            attn_layers=Encoder(dim=24, depth=2, heads=3, attn_dim_head=8, ff_glu=True, use_rmsnorm=True),
        ),
        ((2, 3, 48, 48),),
        ((1, 3, 32, 40),),
    ),
)
