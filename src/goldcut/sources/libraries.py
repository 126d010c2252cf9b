"""Models of torchvision, timm, goldcut itself and a user's file, with the input that their metadata give."""

from collections.abc import Callable
from typing import Any

from torch import nn

from goldcut.errors import ModelError
from goldcut.models import NAMED
from goldcut.sources.body import (
    Body,
    Request,
    import_extra,
    per_channel,
    refuse_weights,
    reported,
    require_head,
)
from goldcut.sources.checks import check_normalisation, check_shape
from goldcut.sources.factory import build_from_file, suggest
from goldcut.sources.huggingface import build_hf


def build_torchvision(request: Request) -> Body:
    """A classification model of torchvision; its default weights' metadata hold even without the weights."""
    from torchvision import models

    known = models.list_models(module=models)
    if request.name not in known:
        raise ModelError(f"torchvision has no classification model {request.name!r}", suggest(request.name, known))
    available = models.get_model_weights(request.name).__members__  # DEFAULT is an alias among them
    if request.weights not in (None, *available):
        raise ModelError(
            f"torchvision has no weights {request.weights!r} for {request.name}",
            suggest(str(request.weights), available),
        )
    described = available[request.weights or "DEFAULT"]
    require_head(request, len(described.meta["categories"]))
    preset = described.transforms()
    shape = request.input_shape or (3, preset.crop_size[0], preset.crop_size[0])
    if shape[0] != 3:
        raise ModelError(
            f"models of torchvision take 3 channels and the input has {shape[0]}",
            "Give --input 3,H,W (gray images are repeated onto the 3 channels), or take the model from timm.",
        )
    options: dict[str, Any] = {}
    if request.classes is not None:
        options["num_classes"] = request.classes
    if request.name in ("googlenet", "inception_v3"):
        options["init_weights"] = request.weights is None  # unsaid, torchvision warns
    if request.name.startswith("vit_"):
        options["image_size"] = shape[1]
    if request.name == "maxvit_t":
        options["input_size"] = shape[1:]
    weights = described if request.weights else None
    with reported("torchvision", request.name):
        module = models.get_model(request.name, weights=weights, progress=False, **options)
    return Body(module, shape, tuple(preset.mean), tuple(preset.std), weights and weights.name)


def build_timm(request: Request) -> Body:
    """A model of timm; models of a fixed size are built for the size asked, one-channel ones with in_chans."""
    timm = import_extra("timm", "timm")
    architecture, _, tag = request.name.partition(".")
    if not timm.is_model(architecture):
        raise ModelError(f"timm has no model {architecture!r}", suggest(architecture, timm.list_models()))
    tag = request.weights if request.weights not in (None, "DEFAULT") else tag
    tags = {name.partition(".")[2] for name in timm.list_pretrained(f"{architecture}.*")}
    if tag and tag not in tags:
        raise ModelError(f"timm has no weights {tag!r} for {architecture}", suggest(tag, tags))
    name = f"{architecture}.{tag}" if tag else architecture
    config = timm.get_pretrained_cfg(name)
    require_head(request, config.num_classes)
    shape = request.input_shape or config.input_size
    options: dict[str, Any] = {"in_chans": shape[0]}
    if request.classes is not None:
        options["num_classes"] = request.classes
    if config.fixed_input_size and shape[1:] != config.input_size[1:]:
        options["img_size"] = shape[1:]
    with reported("timm", name):
        module = timm.create_model(name, pretrained=request.weights is not None, **options)
    mean, std = per_channel(config.mean, shape[0]), per_channel(config.std, shape[0])
    return Body(module, shape, mean, std, (config.tag or "DEFAULT") if request.weights else None)


def build_goldcut(request: Request) -> Body:
    """A network of goldcut's own, built for the images at hand; no normalisation, no pretrained weights."""
    if request.name not in NAMED:
        raise ModelError(f"goldcut has no model {request.name!r}", suggest(request.name, NAMED))
    refuse_weights(request)
    kind, usual = NAMED[request.name]
    shape = check_shape(request.input_shape or request.images_shape or usual)
    options = {} if request.classes is None else {"classes": request.classes}
    return Body(kind(channels=shape[0], size=shape[1:], **options), shape)


def build_file(request: Request) -> Body:
    """The model of a user's file: an nn.Module, or a function or class that gives one.

    It may say how it wants its images in the attributes `input_shape` (C, H, W), `input_mean` and `input_std`
    (normalisation that is to be done before it; one number a channel).
    """
    refuse_weights(request)
    offered = {} if request.classes is None else {"num_classes": request.classes}
    module = build_from_file(request.name, nn.Module, ModelError, **offered)
    if not isinstance(module, nn.Module):
        raise ModelError(
            f"{request.name} gave {type(module).__name__}, not a torch.nn.Module",
            "Name a module, or a function that returns one.",
        )
    stated = request.input_shape or getattr(module, "input_shape", None) or request.images_shape
    if stated is None:
        return Body(module, None)
    shape = check_shape(stated)
    mean, std = (getattr(module, name, ()) for name in ("input_mean", "input_std"))
    return Body(module, shape, *check_normalisation(mean, std, shape[0]))


BUILDERS: dict[str, Callable[[Request], Body]] = {
    "torchvision": build_torchvision,
    "timm": build_timm,
    "hf": build_hf,
    "goldcut": build_goldcut,
}
"""By the spec's prefix."""
