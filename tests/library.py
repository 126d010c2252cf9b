"""Ready-made models of torchvision, timm and transformers, untrained and small, nothing downloaded."""

import warnings
from collections.abc import Callable

import timm
import torch
import torchvision
import transformers
from torch import nn

from models import calibrate, images


def build_library_model(spec: str, shape: tuple[int, int, int]) -> nn.Module:
    """A model by "torchvision:NAME", "timm:NAME" or "hf:NAME" in eval mode, calibrated, weights from a fixed seed."""
    source, _, name = spec.partition(":")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constructors warn of changes to come in the libraries
        torch.manual_seed(0)
        return calibrate(BUILDERS[source](name, shape[1]), images(8, shape))


def build_torchvision(name: str, size: int) -> nn.Module:
    backbone = {"weights_backbone": None} if "_resnet" in name or "_mobilenet" in name else {}
    return torchvision.models.get_model(name, weights=None, **backbone)


def build_timm(name: str, size: int) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=False, img_size=size)
    except TypeError:  # networks that take any size have no such argument
        return timm.create_model(name, pretrained=False)


HF: dict[str, tuple[str, dict[str, object]]] = {
    "vit": ("ViT", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}),
    "deit": ("DeiT", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}),
    "dinov2": ("Dinov2", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 16}),
    "beit": ("Beit", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}),
    "resnet": ("ResNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [2, 2], "layer_type": "basic"}),
    "convnext": ("ConvNext", {"hidden_sizes": [8, 16], "depths": [2, 2], "num_stages": 2}),
    "swin": ("Swin", {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4}),
    "mobilenet_v2": ("MobileNetV2", {"depth_multiplier": 0.35}),
    "segformer": ("Segformer", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}),
    "regnet": ("RegNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "groups_width": 8}),
}
"""Class prefix in transformers, and a configuration small enough for a test."""


def build_hf(name: str, size: int) -> nn.Module:
    prefix, settings = HF[name]
    config = getattr(transformers, f"{prefix}Config")(image_size=size, num_labels=10, **settings)
    return getattr(transformers, f"{prefix}ForImageClassification")(config)


BUILDERS: dict[str, Callable[[str, int], nn.Module]] = {
    "torchvision": build_torchvision,
    "timm": build_timm,
    "hf": build_hf,
}

QUICK = [
    ("torchvision:resnet18", 64),
    ("torchvision:squeezenet1_1", 64),
    ("torchvision:mobilenet_v2", 64),
    ("torchvision:densenet121", 64),
    ("torchvision:efficientnet_b0", 64),
    ("torchvision:googlenet", 64),
    ("timm:vit_tiny_patch16_224", 64),
    ("timm:convnext_atto", 64),
    ("timm:hrnet_w18_small", 64),
    ("timm:regnetx_002", 64),
    ("hf:vit", 64),
    ("hf:resnet", 64),
    ("hf:swin", 64),
]
"""Models of `make test` and the size of their images."""

SLOW = [
    *((f"torchvision:{name}", 64) for name in ("alexnet", "mnasnet0_5", "mobilenet_v3_small", "shufflenet_v2_x0_5")),
    *(
        (f"torchvision:{name}", 64)
        for name in ("vgg11_bn", "swin_t", "regnet_y_400mf", "resnext50_32x4d", "convnext_tiny")
    ),
    *((f"torchvision:{name}", 64) for name in ("efficientnet_v2_s", "swin_v2_t", "lraspp_mobilenet_v3_large")),
    *((f"torchvision:{name}", 224) for name in ("vit_b_16", "maxvit_t")),
    ("torchvision:inception_v3", 96),
    ("torchvision:deeplabv3_mobilenet_v3_large", 64),
    *((f"timm:{name}", 64) for name in ("regnety_002", "poolformer_s12", "mobilevit_xxs", "edgenext_xx_small")),
    *(
        (f"timm:{name}", 64)
        for name in ("ghostnet_100", "tinynet_e", "mobileone_s0", "repvgg_a0", "dla34", "lcnet_050")
    ),
    *((f"timm:{name}", 64) for name in ("resnetv2_50", "nfnet_l0", "res2net50_26w_4s", "cspresnet50", "resnest14d")),
    *((f"timm:{name}", 224) for name in ("mixer_s32_224", "resmlp_12_224", "levit_128s", "efficientformer_l1")),
    *(
        (f"timm:{name}", 224)
        for name in ("cait_xxs24_224", "pvt_v2_b0", "xcit_nano_12_p16_224", "deit_tiny_patch16_224")
    ),
    ("timm:swin_tiny_patch4_window7_224", 224),
    *((f"hf:{name}", 64) for name in ("deit", "dinov2", "beit", "convnext", "mobilenet_v2", "segformer", "regnet")),
]
"""More models, for `make test-slow`."""
