"""What must be known before the findings of a run are used."""

from goldcut.records import ScanRecord
from goldcut.report.case import Case
from goldcut.report.quantities import listing, percent


def doubtful_accuracy(scan: ScanRecord) -> bool:
    """Whether the model predicts hardly better than chance: less than a quarter of the way to perfect."""
    if scan.accuracy is None or len(scan.data.classes) < 2:
        return False
    chance = 1 / len(scan.data.classes)
    return scan.accuracy < chance + (1 - chance) / 4


def model_cautions(scan: ScanRecord) -> list[str]:
    cautions = []
    named = scan.model.checkpoint or scan.model.weights
    untrained = not named and scan.model.spec.startswith(("torchvision:", "timm:", "goldcut:"))
    if untrained:
        cautions.append("The model has random weights (no checkpoint or pretrained weights were named).")
    if scan.defense is not None:
        cautions.append(_defended(scan))
    if scan.accuracy is None:
        cautions.append("The model's outputs were not compared with labels, so nothing says that it is well trained.")
    elif doubtful_accuracy(scan):
        chance = percent(1 / len(scan.data.classes))
        cautions.append(
            f"The model is right on only {percent(scan.accuracy)} of the images (chance: {chance}): "
            "a zone of a model that does not work says nothing about one that does."
        )
    return cautions


def _defended(scan: ScanRecord) -> str:
    """What the defence costs, and that the pointers were not made for it."""
    said = (
        f"All of this is about Z behind {scan.defense}, and so are the attacks; pointers were judged without a defence."
    )
    inner = [cut for cut in scan.cuts if cut.level != "output" and cut.accuracy is not None]
    if not inner or scan.accuracy is None:
        return said
    costs = [f"{percent(cut.accuracy)} at {cut.name}" for cut in inner]
    return f"{said} Accuracy, {percent(scan.accuracy)} without it, is {listing(costs)}."


def attack_cautions(case: Case) -> list[str]:
    attack = case.attack
    if attack is None:
        return []
    cautions = []
    if not attack.complete:
        cautions.append("The attack is not finished: results of its plan are missing.")
    left_out = [cut.name for cut in case.scan.cuts if cut.name not in case.worst and cut.level != "output"]
    if left_out:
        cautions.append(f"Not attacked, so nothing is known of what leaks there: {listing(left_out)}.")
    if open_ended := [worst.cut for worst in attack.worst if not worst.converged]:
        cautions.append(
            f"Still improving when it stopped, so more may leak: the strongest attack at {listing(open_ended)}."
        )
    if attack.failed:
        failed = [f"{failure.attack} at {failure.cut}" for failure in attack.failed]
        cautions.append(f"Failed: {listing(failed)}.")
    if attack.view.target_trained_on_auxiliary == "yes":
        cautions.append("The attacker trains on images that the model was trained on too.")
    elif attack.view.target_trained_on_auxiliary == "unknown":
        cautions.append("Whether the model was trained on the attacker's images is not known.")
    if attack.view.ceiling_recovered is not None:
        _, height, width = attack.view.reconstruction_shape
        cautions.append(
            f"The attack works at {height} × {width} pixels; at full size that alone limits recovered to "
            f"{percent(attack.view.ceiling_recovered)}."
        )
    return cautions
