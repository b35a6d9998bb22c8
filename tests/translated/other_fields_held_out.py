"""7 of 20 networks of other packages, which nobody translates before the end."""

import demucs.demucs
import diffusers
import transformers
from conformer import Conformer
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from efficientnet_pytorch import EfficientNet
from torch import nn

from tests.translated.network import Network


def efficientnet():
    """The narrowest, with the activation that its package gives for exports."""
    network = EfficientNet.from_name("efficientnet-b0", num_classes=7, image_size=64)
    network.set_swish(memory_efficient=False)
    return network


NETWORKS = (
    # Audio.
    Network(
        "Demucs, music",
        lambda: demucs.demucs.Demucs(["drums", "bass"], channels=8, depth=4, lstm_layers=2),
        ((2, 2, 3000),),
        ((1, 2, 4321),),
    ),
    Network(
        "Conformer",
        lambda: Conformer(24, depth=2, dim_head=6, heads=3, conv_kernel_size=7),
        ((2, 31, 24),),
        ((1, 45, 24),),
    ),
    # Super-resolution and denoising.
    Network(
        "Swin2SR",
        lambda: transformers.Swin2SRForImageSuperResolution(
            transformers.Swin2SRConfig(image_size=16, embed_dim=12, depths=(2, 2), num_heads=(2, 3), window_size=4)
        ),
        ((2, 3, 16, 24),),
        ((1, 3, 20, 12),),
    ),
    # Generation.
    Network(
        "Stable Diffusion's decoder",
        lambda: (
            diffusers.AutoencoderKL(
                up_block_types=("UpDecoderBlock2D",) * 2,
                down_block_types=("DownEncoderBlock2D",) * 2,
                block_out_channels=(8, 16),
                norm_num_groups=4,
            ).decoder
        ),
        ((2, 4, 10, 14),),
        ((1, 4, 12, 9),),
    ),
    # Depth.
    Network(
        "Depth Anything",
        lambda: transformers.DepthAnythingForDepthEstimation(
            transformers.DepthAnythingConfig(
                backbone_config=transformers.Dinov2Config(
                    hidden_size=24,
                    num_hidden_layers=4,
                    num_attention_heads=3,
                    image_size=70,
                    out_indices=[1, 2, 3, 4],
                    reshape_hidden_states=False,
                ),
                reassemble_hidden_size=24,
                neck_hidden_sizes=(6, 8, 12, 16),
                fusion_hidden_size=10,
                head_hidden_size=8,
            )
        ),
        ((1, 3, 70, 56),),
        ((2, 3, 42, 84),),
    ),
    # Segmentation.
    Network(
        "nnU-Net",
        lambda: ResidualEncoderUNet(
            2,
            3,
            (6, 10, 14),
            nn.Conv3d,
            ((1, 3, 3), 3, 3),
            (1, (1, 2, 2), 2),
            (1, 2, 1),
            3,
            (1, 1),
            True,
            nn.InstanceNorm3d,
            {"eps": 1e-5, "affine": True},
            nonlin=nn.LeakyReLU,
            nonlin_kwargs={"inplace": True},
            deep_supervision=True,
        ),
        ((1, 2, 12, 20, 28),),
        ((2, 2, 16, 12, 24),),
    ),
    # Detection.
    Network("EfficientNet", efficientnet, ((2, 3, 64, 80),), ((1, 3, 90, 64),)),
)
