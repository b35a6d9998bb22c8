"""13 of MONAI's 40 networks, which nobody translates before the end."""

from monai.networks import nets
from monai.networks.nets.restormer import Restormer

from tests.translated.network import Network

NETWORKS = (
    Network(
        "UNet, 2-d, residual units",
        lambda: nets.UNet(2, 3, 2, (8, 12, 20), (2, 2), num_res_units=2, norm="batch"),
        ((2, 3, 32, 44),),
        ((2, 3, 28, 36),),
    ),
    Network(
        "BasicUNet, 2-d",
        lambda: nets.BasicUNet(2, 3, 2, (6, 8, 10, 12, 14, 6), norm=("batch", {"eps": 1e-3})),
        ((2, 3, 48, 36),),
        ((1, 3, 35, 53),),
    ),
    Network("VNet, 3-d", lambda: nets.VNet(3, 1, 3), ((1, 1, 32, 16, 32),), ((1, 1, 16, 32, 16),)),
    Network(
        "SegResNetDS, 3-d",
        lambda: nets.SegResNetDS(3, 6, 1, 3, blocks_down=(1, 1, 2), dsdepth=2, resolution=(1, 1, 2)),
        ((2, 1, 16, 20, 12),),
        ((1, 1, 20, 24, 10),),
    ),
    Network(
        "AttentionUnet, 2-d",
        lambda: nets.AttentionUnet(2, 3, 2, (8, 12, 16, 24), (2, 2, 2), dropout=0.1),
        ((2, 3, 40, 32),),
        ((1, 3, 56, 48),),
    ),
    Network(
        "Discriminator, 2-d", lambda: nets.Discriminator((1, 36, 28), (6, 10, 14), (2, 2, 1)), ((2, 1, 36, 28),), None
    ),
    Network(
        "HighResNet, 3-d",
        lambda: nets.HighResNet(
            3,
            1,
            4,
            layer_params=(
                {"name": "conv_0", "n_features": 6, "kernel_size": 3},
                {"name": "res_1", "n_features": 6, "kernels": (3, 3), "repeat": 2},
                {"name": "res_2", "n_features": 10, "kernels": (3, 3), "repeat": 2},
                {"name": "conv_1", "n_features": 14, "kernel_size": 1},
                {"name": "conv_2", "kernel_size": 1},
            ),
        ),
        ((2, 1, 12, 15, 18),),
        ((1, 1, 16, 11, 13),),
    ),
    Network(
        "UNETR, 3-d",
        lambda: nets.UNETR(1, 3, (32, 48, 16), 6, 24, 40, 3, "perceptron", qkv_bias=True),
        ((1, 1, 32, 48, 16),),
        None,
    ),
    Network(
        "DenseNet, 2-d",
        lambda: nets.DenseNet(2, 3, 5, 10, 6, (2, 3, 2), 2, dropout_prob=0.1),
        ((2, 3, 48, 36),),
        ((1, 3, 40, 52),),
    ),
    Network(
        "ViTAutoEnc, 2-d",
        lambda: nets.ViTAutoEnc(3, (48, 64), (16, 16), 2, 6, 24, 36, 2, 3, spatial_dims=2),
        ((2, 3, 48, 64),),
        None,
    ),
    Network(
        "AutoencoderKL's decoder, 2-d",
        lambda: nets.AutoencoderKL(2, 1, 2, (1, 1), (8, 16), (False, True), 3, 4).decoder,
        ((2, 3, 10, 14),),
        ((1, 3, 12, 9),),
    ),
    Network(
        "MedNeXt, 3-d",
        lambda: nets.MedNeXt(
            3,
            4,
            1,
            2,
            kernel_size=3,
            use_residual_connection=True,
            blocks_down=(1, 1, 1),
            blocks_bottleneck=1,
            blocks_up=(1, 1, 1),
            global_resp_norm=True,
        ),
        ((1, 1, 16, 24, 32),),
        ((2, 1, 24, 16, 16),),
    ),
    Network(
        "Restormer, 2-d", lambda: Restormer(2, 3, 2, 8, (1, 2, 1), (1, 2, 4), 1), ((2, 3, 32, 20),), ((1, 3, 24, 44),)
    ),
)
