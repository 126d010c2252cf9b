"""A promise in sentences: what is kept, at which noise and price, and how far attackers come in spite of it."""

from goldcut.records import FisherLeakage, PromiseRecord
from goldcut.report.quantities import number, percent, share


def headline(promise: PromiseRecord) -> str:
    """What is promised, and the noise that keeps it."""
    sent = "" if promise.releases == 1 else f" in each of {promise.releases} releases of the same input"
    return (
        f"At {promise.cut}, with Z clipped to norm {number(promise.clip_norm)} and Gaussian noise of"
        f" {number(promise.sigma)} per element{sent} ({number(promise.sigma_relative)} of its deviation),"
        f" {promise.asked}."
    )


def sentences(promise: PromiseRecord) -> tuple[str, ...]:
    """The bound, the price, and the attackers, in reading order."""
    said = [
        f"What is sent tells at most {number(promise.bits)} bits of the input, {number(promise.bits_within)} beside the"
        f" class. The limits come from {promise.images:,} images and are too low with probability"
        f" {percent(promise.failure)} at most."
    ]
    if promise.accuracy is not None:
        said.append(
            f"The price: accuracy {percent(promise.accuracy)} as it is, {percent(promise.accuracy_clipped)} clipped,"
            f" {percent(promise.accuracy_noisy)} with the noise{_adapted(promise)}."
        )
    if promise.accuracy_most < 1:
        said.append(f"So few bits leave no classifier more than {percent(promise.accuracy_most)}.")
    for gallery in promise.galleries:
        reached = (
            "; the best attacker, who knows the edge and all of them, reaches"
            f" {share(gallery.reached, gallery.reached_low, gallery.reached_high)}"
            if gallery.reached is not None
            else ""
        )
        said.append(f"Right one of {gallery.images:,} of its class: at most {percent(gallery.promised)}{reached}.")
    for result in promise.results:
        got = share(result.recovered, result.recovered_low, result.recovered_high)
        said.append(f"{result.attack} recovers {got} of the pixel variance from what is sent.")
    if promise.fisher is not None:
        said.append(neighbours(promise.fisher))
    return tuple(said)


def _adapted(promise: PromiseRecord) -> str:
    if promise.accuracy_adapted is None:
        return ""
    found = percent(promise.accuracy_adapted)
    return f", {found} once the cloud half has learned from noisy Z of {promise.adapted_on:,} other images"


def neighbours(fisher: FisherLeakage) -> str:
    """The second figure, with the assumption that it rests on."""
    if fisher.unbiased_mse is None:
        return "Fisher leakage is 0: what is sent does not change with the image at all."
    found = (
        f"Fisher leakage is {number(fisher.leakage)} ({number(fisher.leakage_low)} to {number(fisher.leakage_high)},"
        f" over {fisher.images:,} images): an unbiased estimate of the pixels errs by"
        f" {number(fisher.unbiased_mse)} at least on average; the mean image alone errs by"
        f" {number(fisher.mean_image_mse)}"
    )
    void = ", so the floor says nothing of an attacker" if fisher.unbiased_mse >= fisher.mean_image_mse else ""
    return f"{found}{void}. {fisher.assumption}"
