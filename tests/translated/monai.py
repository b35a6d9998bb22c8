"""27 of MONAI's 40 networks: the ones that whoever writes the translation may look at.

Of every three in the order of the two lists together one was drawn for the other list.
"""

import numpy as np
from monai.networks import nets

from tests.translated.network import Integers, Network


def dints():
    """Three blocks and two depths, with a path left out and every operation used by some path."""
    paths = np.ones((3, 4))
    paths[1, 1] = 0
    operations = np.add.outer(np.arange(3), 2 * np.arange(4)) % 5
    return nets.DiNTS(nets.TopologyInstance([paths, operations], 0.25, num_blocks=3, num_depths=2), 2, 3)


NETWORKS = (
    Network(
        "UNet, 3-d",
        lambda: nets.UNet(3, 1, 2, (6, 10, 14), ((2, 2, 1), 2)),
        ((2, 1, 16, 20, 12),),
        ((1, 1, 12, 24, 16),),
    ),
    Network(
        "UNet, 2-d, swish and group norm",
        lambda: nets.UNet(
            2, 1, 4, (8, 16, 24), (2, 2), 5, 3, 1, "swish", ("group", {"num_groups": 4}), 0.1, False, "AND"
        ),
        ((2, 1, 36, 28),),
        ((1, 1, 32, 44),),
    ),
    Network(
        "BasicUNet, 3-d, upsampling",
        lambda: nets.BasicUNet(3, 1, 2, (4, 6, 8, 10, 12, 6), "gelu", upsample="nontrainable"),
        ((1, 1, 32, 37, 34),),
        ((2, 1, 36, 32, 35),),
    ),
    Network(
        "BasicUNetPlusPlus, 2-d, deep supervision",
        lambda: nets.BasicUNetPlusPlus(2, 2, 3, (4, 6, 8, 10, 12, 6), True, upsample="pixelshuffle"),
        ((2, 2, 32, 48),),
        ((1, 2, 64, 32),),
    ),
    Network(
        "DynUNet, 2-d, deep supervision",
        lambda: nets.DynUNet(
            2,
            3,
            2,
            (3, 3, 3, 3),
            (1, 2, 2, 2),
            (2, 2, 2),
            (6, 10, 14, 18),
            norm_name="batch",
            deep_supervision=True,
            deep_supr_num=2,
        ),
        ((2, 3, 40, 32),),
        ((1, 3, 32, 56),),
    ),
    Network(
        "DynUNet, 3-d, residual blocks",
        lambda: nets.DynUNet(
            3, 1, 3, ((3, 3, 1), 3, 3), (1, (2, 2, 1), 2), ((2, 2, 1), 2), (6, 10, 14), res_block=True, trans_bias=True
        ),
        ((2, 1, 16, 20, 10),),
        ((1, 1, 24, 12, 14),),
    ),
    Network("SegResNet, 3-d", lambda: nets.SegResNet(3, 8, 2, 3, 0.2), ((1, 2, 16, 24, 32),), ((2, 2, 24, 16, 16),)),
    Network(
        "SegResNet, 2-d, deconvolution",
        lambda: nets.SegResNet(
            2, 8, 1, 2, norm="instance", act="mish", blocks_down=(1, 2, 2), blocks_up=(1, 1), upsample_mode="deconv"
        ),
        ((2, 1, 36, 44),),
        ((1, 1, 52, 28),),
    ),
    Network(
        "AutoEncoder, 3-d",
        lambda: nets.AutoEncoder(
            3, 1, 2, (6, 10), (2, 2), num_res_units=1, inter_channels=[10, 12], inter_dilations=[1, 2]
        ),
        ((2, 1, 16, 12, 20),),
        ((1, 1, 20, 24, 8),),
    ),
    Network(
        "Generator, 2-d",
        lambda: nets.Generator((10,), (12, 6, 5), (12, 8, 1), (2, 2, 1), norm="batch"),
        ((2, 10),),
        None,
    ),
    Network(
        "Classifier, 2-d",
        lambda: nets.Classifier(
            (3, 44, 32), 5, (8, 12), (2, 2), act="relu", norm="batch", dropout=0.2, last_act="softmax"
        ),
        ((2, 3, 44, 32),),
        None,
    ),
    Network(
        "Regressor, 3-d",
        lambda: nets.Regressor((1, 16, 20, 12), (2, 3), (6, 10), (2, 2), num_res_units=0),
        ((2, 1, 16, 20, 12),),
        None,
    ),
    Network(
        "FlexibleUNet, 2-d, EfficientNet",
        lambda: nets.FlexibleUNet(3, 2, "efficientnet-b0", False, (20, 16, 12, 10, 8)),
        ((1, 3, 64, 96),),
        ((2, 3, 96, 64),),
    ),
    Network(
        "FlexibleUNet, 3-d, ResNet",
        lambda: nets.FlexibleUNet(1, 2, "resnet10", False, (20, 16, 12, 10, 8), 3, upsample="deconv"),
        ((1, 1, 32, 32, 64),),
        ((1, 1, 64, 32, 32),),
    ),
    Network(
        "SwinUNETR, 3-d",
        lambda: nets.SwinUNETR(1, 3, 2, (2, 2, 2, 2), (1, 2, 3, 4), (4, 4, 4), feature_size=12),
        ((1, 1, 32, 64, 32),),
        ((1, 1, 64, 32, 32),),
    ),
    Network(
        "SwinUNETR, 2-d, version 2",
        lambda: nets.SwinUNETR(
            3,
            2,
            2,
            (2, 1, 2, 1),
            (2, 3, 4, 6),
            5,
            feature_size=12,
            norm_name="batch",
            spatial_dims=2,
            downsample="mergingv2",
            use_v2=True,
        ),
        ((2, 3, 64, 96),),
        ((1, 3, 96, 32),),
    ),
    Network(
        "SENet, 2-d",
        lambda: nets.SENet(2, 3, "se_resnetxt_bottleneck", (1, 2, 1, 1), 4, 4, inplanes=8, num_classes=6),
        ((2, 3, 48, 40),),
        ((1, 3, 60, 52),),
    ),
    Network(
        "ResNet, 3-d",
        lambda: nets.ResNet("bottleneck", [1, 2, 1, 1], [6, 8, 10, 12], 3, 2, (5, 5, 3), (2, 2, 1), num_classes=7),
        ((2, 2, 32, 28, 14),),
        ((1, 2, 24, 36, 20),),
    ),
    Network(
        "EfficientNet, 2-d",
        lambda: nets.EfficientNet(
            ["r1_k3_s11_e1_i32_o16_se0.25", "r2_k3_s22_e6_i16_o24_se0.25", "r1_k5_s22_e4_i24_o40"],
            2,
            3,
            7,
            0.5,
            image_size=64,
        ),
        ((2, 3, 50, 62),),
        ((1, 3, 64, 36),),
    ),
    Network(
        "ViT, 3-d, classification",
        lambda: nets.ViT(1, (24, 16, 32), (8, 8, 16), 24, 44, 3, 4, classification=True, num_classes=5),
        ((2, 1, 24, 16, 32),),
        None,
    ),
    Network(
        "VQVAE, 3-d",
        lambda: nets.VQVAE(3, 1, 2, (6, 10), 1, (6, 10), ((2, 4, 1, 1),) * 2, ((2, 4, 1, 1, 0),) * 2, 16, 5),
        ((2, 1, 16, 20, 12),),
        ((1, 1, 12, 16, 24),),
    ),
    Network(
        "DiffusionModelUNet, 2-d",
        lambda: nets.DiffusionModelUNet(2, 3, 2, (1, 1), (8, 16), (False, True), 4, resblock_updown=True),
        ((2, 3, 20, 28), Integers((2,), 1000)),
        ((1, 3, 24, 16), Integers((1,), 1000)),
    ),
    Network(
        "PatchDiscriminator, 2-d", lambda: nets.PatchDiscriminator(2, 6, 3, 1, 2), ((2, 3, 36, 44),), ((1, 3, 40, 32),)
    ),
    Network("Quicknat, 2-d", lambda: nets.Quicknat(5, 2, 8, 3, drop_out=0.1), ((2, 2, 32, 48),), ((1, 2, 48, 16),)),
    Network("LocalNet, 3-d", lambda: nets.LocalNet(3, 2, 6, (0, 1, 2)), ((1, 2, 16, 20, 24),), ((2, 2, 24, 16, 12),)),
    Network(
        "VoxelMorphUNet, 3-d",
        lambda: nets.VoxelMorphUNet(3, 2, 6, (6, 8, 8, 10, 10, 6), (6, 5)),
        ((1, 2, 16, 24, 32),),
        ((2, 2, 24, 16, 16),),
    ),
    Network("DiNTS, 3-d", dints, ((1, 2, 16, 24, 32),), ((2, 2, 24, 16, 16),)),
)
