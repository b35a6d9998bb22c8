"""Small networks of the kinds that are published, each in torch, in nnx and in linen."""

from tests.networks.cyclegan import CYCLEGAN
from tests.networks.dcgan import DCGAN
from tests.networks.decoder import DECODER, DECODER_OLD
from tests.networks.unet import UNET
from tests.networks.unet3d import UNET3D
from tests.networks.vocoder import VOCODER, VOCODER_OLD

NETWORKS = [VOCODER, VOCODER_OLD, UNET, DCGAN, CYCLEGAN, UNET3D, DECODER, DECODER_OLD]
