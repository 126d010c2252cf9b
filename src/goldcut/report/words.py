"""The standing text of the report: what each figure means, what was granted to the attacker, what is assumed."""

from collections.abc import Sequence

from goldcut.cost.link import Link
from goldcut.records import AttackRecord, Knowledge, Provenance, ScanRecord
from goldcut.report.quantities import dimensions, listing, percent, plural, seconds

DEFINITIONS = (
    ("cut", "A place where one tensor, Z, is all that the rest of the network still needs of the image."),
    ("edge, cloud", "The half of the network before a cut, on the device, and the half behind it."),
    ("recovered", "1 − MSE / MSE of the mean image of the attacker's training images; a ratio of means over victims."),
    ("class mean", "What an attacker gets who knows the predicted label only, and never looks at Z."),
    ("nearest image", "What an attacker gets who looks up, among the own images, the one whose Z is nearest."),
    ("beyond label", "1 − MSE / MSE of the class-mean image of the predicted label."),
    ("identified", "Share of victims picked out by their reconstruction among 20 of one predicted label; chance 1/20."),
    ("converged", "The last quarter of the training improved the error on selection images by less than 1 %."),
    ("within_share", "Within-class scatter of Z over its total scatter, from 0 to 1; free of one common scale."),
    (
        "within_share_standardised",
        "The same after dividing each channel or feature by its deviation; free of their scales.",
    ),
    (
        "image_dependence",
        "Distance correlation of images and Z, each channel over its deviation; 1 where Z keeps all distances.",
    ),
    ("R² (radius_sq)", "Mean squared distance of Z to its class mean, averaged over the classes without weights."),
    ("effective rank", "(tr S)² / tr(S²) with S the covariance of Z: the number of directions in which it varies."),
    ("zone", "The Golden Partition Zone: the cuts from which on Z tells of the class more than of the image."),
    ("paper's rule", "The largest relative drops of R² between neighbouring cuts, as the authors' script finds them."),
    ("default rule", "This tool's own rule, from statistics of Z alone."),
    (
        "post hoc rule",
        "From the attack: the first cut from which on half (a quarter) is left of what leaks beyond the class mean.",
    ),
    ("recommended", "The cut of the default zone with the fewest FLOPs on the device."),
    ("not beaten", "No other attacked cut is as good in everything compared and better in something."),
    ("MSE, channel sum", "MSE × channels: the paper's unit; its 0.02 for a faithful reconstruction is in this unit."),
)
"""Each word of the page in one line."""

KNOWLEDGE: dict[Knowledge, str] = {
    "none": "It runs the cloud's half and sees Z; of the device's half it knows nothing and cannot ask it.",
    "architecture": "It runs the cloud's half, sees Z and knows how the device's half is built; it cannot ask it.",
    "queries": "It can run the device's half on its own images and see the Z that comes out; it uses no weights.",
    "weights": "It has the weights of the device's half: gradients lead it from Z to the image.",
}


def threat_model(attack: AttackRecord) -> tuple[tuple[str, str], ...]:
    """What the attacker was granted, line by line."""
    view = attack.view
    origin = "the same data set as the victims" if view.auxiliary_same_data else "another data set than the victims"
    trained = {"yes": "yes", "no": "no"}.get(view.target_trained_on_auxiliary, "not known")
    shape = dimensions(view.reconstruction_shape)
    rows = [
        ("knows", KNOWLEDGE[view.knowledge]),
        ("sees", _seen(attack)),
        ("has images from", f"{view.auxiliary}: {origin}"),
        ("trains on", plural(view.training_images, "image")),
        ("chooses on", f"{plural(view.selection_images, 'image')}; nothing is chosen on victims"),
        ("is scored on", f"{plural(view.victims, 'victim')}, each once"),
        ("shared images", f"{plural(view.duplicates_removed, 'image')} dropped because a victim is the same, by hash"),
        ("model trained on the attacker's images", trained),
        ("reconstructs at", shape),
        ("attacks", listing(list(dict.fromkeys(result.attack for result in attack.results)), 20)),
    ]
    if view.ceiling_recovered is not None:
        rows.append(("ceiling at full size", f"{percent(view.ceiling_recovered)} recovered, set by {shape} alone"))
    return tuple(rows)


def _seen(attack: AttackRecord) -> str:
    view = attack.view
    if not view.stochastic:
        return "Z of each victim, exact, as 32-bit floats, once."
    return f"Z of each victim as 32-bit floats, with the edge's own noise, {plural(view.queries, 'time')}, averaged."


def assumptions(scan: ScanRecord, attack: AttackRecord | None) -> tuple[str, ...]:
    """What the figures rest on, in sentences."""
    labels = {"truth": "the labels of the data", "predicted": "the model's own predictions"}
    counted = scan.cuts[0].samples_per_class if scan.cuts else None
    said = [f"Statistics use {plural(scan.data.images, 'image')} and {labels.get(scan.labels, scan.labels)}"]
    if counted:
        classes = plural(counted.classes, "class", "classes")
        said[0] += f"; {counted.fewest:,} to {plural(counted.most, 'image')} in each of {classes}"
    said[0] += "."
    said += [
        "A statistic of Z is a pointer, never a proof: an injective map can change it without changing what Z tells.",
        "The information bounds are for Z with Gaussian noise of the stated size; without noise they are not bounded.",
        "Limits are at 95 %: jackknife over 10 folds for statistics, bootstrap over victims for attacks.",
        "FLOPs are 2 × multiply-accumulate, for one image. Times are payload / rate + round trip on the links below.",
    ]
    if attack:
        said.append("What these attacks recover is a floor: other attackers, priors or more images may recover more.")
    return tuple(said)


def link_rows(links: Sequence[Link]) -> tuple[tuple[str, str], ...]:
    """Each link with its two figures and where they come from."""
    return tuple(
        (link.name, f"{link.megabit_per_s:g} Mbit/s up, {link.round_trip_ms:g} ms: {link.assumption}") for link in links
    )


def unmeasured(scan: ScanRecord, attack: AttackRecord | None) -> tuple[tuple[str, str], ...]:
    """What was not measured, each with its reason."""
    rows = [(skipped.name, skipped.reason) for skipped in scan.skipped]
    if attack is None:
        return (*rows, ("all attacks", "Not attacked: run `goldcut attack`."))
    rows += [(f"{failure.attack} at {failure.cut}", failure.reason) for failure in attack.failed]
    done = {worst.cut for worst in attack.worst}
    for cut in scan.cuts:
        if cut.name not in done:
            planned = cut.name in attack.attacked
            rows.append(
                (f"attacks at {cut.name}", "Planned, but no result yet." if planned else "Not among the chosen cuts.")
            )
    return tuple(rows)


def provenance(scan: ScanRecord, attack: AttackRecord | None) -> tuple[tuple[str, str], ...]:
    """What is needed to make the run again."""
    model, data = scan.model, scan.data
    note = f"; {data.note}" if data.note else ""
    rows = [
        ("model", " ".join(filter(None, [model.spec, model.checkpoint, model.weights]))),
        ("model hash", model.sha256),
        ("input", f"{dimensions(model.input_shape)} in [0, 1]" + _normalisation(model.mean, model.std)),
        ("images", f"{data.spec}, {data.part}: {plural(data.images, 'image')} of {dimensions(data.shape)}{note}"),
        ("images hash", data.sha256),
        ("labels, level", f"{scan.labels}, {scan.level}"),
        *_made("scan", scan.provenance),
    ]  # fmt: skip
    return (*rows, *(_made("attack", attack.provenance) if attack else ()))


def _normalisation(mean: Sequence[float], std: Sequence[float]) -> str:
    if not mean:
        return ", no normalisation inside the model"
    shown = (", ".join(f"{value:.3g}" for value in values) for values in (mean, std))
    return ", normalised inside the model by mean {} and deviation {}".format(*shown)


def _made(step: str, made: Provenance) -> list[tuple[str, str]]:
    return [
        (f"{step} command", made.command),
        (f"{step} time", f"{made.started}, {seconds(made.seconds)}"),
        (f"{step} machine", f"{made.machine}; {made.device}, {plural(made.threads, 'thread')}"),
        (f"{step} versions", _pairs(made.versions)),
        (f"{step} seeds", _pairs(made.seeds)),
        (f"{step} settings", _pairs(made.settings) or "none"),
    ]


def _pairs(values: object) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items()) if isinstance(values, dict) else str(values)
