"""Decoders from Z to images, generated from shapes by one rule so that capacity does not jump between cuts."""

from goldcut.networks.decoders import SIZES, ImageDecoder, Size, build_decoder

__all__ = ["SIZES", "ImageDecoder", "Size", "build_decoder"]
