"""The verdict of a run in words: what to do, why, and what stands against it.

Two witnesses are heard. The statistics of Z point to a zone; the attack says whether it is true. A
pointer is no proof, so a run without an attack never gets a reassuring sentence. The attack's own
zone (`zone_post_hoc`, fixed in advance in terms of what is recovered) judges the recommended cut:
    confirmed   the recommended cut lies in it        refuted   it does not
    open        the attack cannot decide yet          unattacked
    missed      only the attack finds a zone          no_zone   neither does
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from goldcut.records import AttackRecord, AttackResult, CutProfile, ScanRecord, Worst
from goldcut.report.figures import edge_flops, edge_params
from goldcut.report.quantities import count, interval, known, listing, percent, plural, share, size

Standing = Literal["confirmed", "refuted", "open", "unattacked", "missed", "no_zone"]
Tone = Literal["good", "caution", "bad", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a person reads first.

    Attributes:
        standing: How the two witnesses stand to each other.
        tone: "good" only where the attack confirms the cut by both post hoc rules on a working model.
        headline: One sentence.
        cut: The cut that the verdict speaks of, if any.
        findings: Why, and what the figures mean, in reading order.
        advice: What to do now.
        cautions: What must be known before the findings are used.
    """

    standing: Standing
    tone: Tone
    headline: str
    cut: str | None
    findings: tuple[str, ...]
    advice: tuple[str, ...]
    cautions: tuple[str, ...]

    def lines(self) -> tuple[str, ...]:
        """The whole verdict as sentences, the headline first."""
        return (self.headline, *self.findings, *self.advice, *self.cautions)


@dataclass(frozen=True)
class _Case:
    """A scan and its attack with the look-ups that every sentence needs."""

    scan: ScanRecord
    attack: AttackRecord | None

    @property
    def place(self) -> Mapping[str, int]:
        return {cut.name: position for position, cut in enumerate(self.scan.cuts)}

    @property
    def worst(self) -> Mapping[str, Worst]:
        return {worst.cut: worst for worst in self.attack.worst} if self.attack else {}

    @property
    def class_mean(self) -> float | None:
        mean = self.attack.baselines.class_mean if self.attack else None
        return mean.recovered if mean else None

    def cut(self, name: str) -> CutProfile:
        return self.scan.cuts[self.place[name]]

    def results(self, name: str) -> tuple[AttackResult, ...]:
        return tuple(result for result in self.attack.results if result.cut == name) if self.attack else ()

    def least_leaking(self) -> Worst | None:
        """The attacked cut, the output left out, at which the strongest attack got the least."""
        inner = [worst for name, worst in self.worst.items() if self.cut(name).level != "output"]
        return min(inner, key=lambda worst: worst.recovered, default=None)


def reach_verdict(scan: ScanRecord, attack: AttackRecord | None = None) -> Verdict:
    """Say what a run means. Pure: the same records give the same words."""
    case = _Case(scan, attack if attack and attack.worst else None)
    standing = _standing(case)
    cut = _subject(case, standing)
    cautions = (*_model_cautions(scan), *_attack_cautions(case), *scan.warnings)
    findings = (
        *_statistics(scan),
        *_judgement(case, standing),
        *(_meaning(case, cut) if cut else ()),
        *(_price(case, cut) if cut else ()),
    )
    return Verdict(
        standing=standing,
        tone=_tone(case, standing, cut),
        headline=_headline(case, standing),
        cut=cut,
        findings=findings,
        advice=tuple(_advice(case, standing, cut)),
        cautions=cautions,
    )


def doubtful_accuracy(scan: ScanRecord) -> bool:
    """Whether the model predicts hardly better than chance: less than a quarter of the way to perfect."""
    if scan.accuracy is None or len(scan.data.classes) < 2:
        return False
    chance = 1 / len(scan.data.classes)
    return scan.accuracy < chance + (1 - chance) / 4


def _standing(case: _Case) -> Standing:
    if case.attack is None:
        return "unattacked"
    judged, recommended = case.attack.zone_post_hoc, case.scan.recommended
    if not judged.decided or not case.attack.complete or (recommended and recommended not in case.worst):
        return "open"
    if recommended is None:
        return "missed" if judged.first else "no_zone"
    if judged.first is None or case.place[recommended] < case.place[judged.first]:
        return "refuted"
    return "open" if _unsure(case, recommended) else "confirmed"


def _unsure(case: _Case, cut: str) -> list[str]:
    """Attacks at a cut that failed or did not converge: they could have got more than is known."""
    failed = [f"{failure.attack} failed" for failure in case.attack.failed if failure.cut == cut] if case.attack else []
    return failed + [f"{result.attack} was still improving" for result in case.results(cut) if not result.converged]


def _subject(case: _Case, standing: Standing) -> str | None:
    if standing == "missed" and case.attack:
        return case.attack.zone_post_hoc.first
    if case.scan.recommended:
        return case.scan.recommended
    least = case.least_leaking()
    return least.cut if least else None


def _tone(case: _Case, standing: Standing, cut: str | None) -> Tone:
    if standing in ("unattacked", "open"):
        return "unknown"
    if standing in ("refuted", "no_zone"):
        return "bad"
    quarter = case.attack.zone_post_hoc_quarter if case.attack else None
    deep = bool(quarter and quarter.first and cut and case.place[cut] >= case.place[quarter.first])
    return "good" if standing == "confirmed" and deep and not doubtful_accuracy(case.scan) else "caution"


def _headline(case: _Case, standing: Standing) -> str:
    cut = case.scan.recommended
    if standing == "unattacked":
        pointer = f"The statistics point to {cut}." if cut else "The statistics show no zone."
        return f"{pointer} Not attacked: this is no evidence of safety."
    if standing == "open":
        return f"{cut} is a candidate, not a result: the attack cannot decide yet." if cut else "Not decided yet."
    if standing == "confirmed":
        return f"Cut at {cut}: the attack confirms the zone that the statistics point to."
    if standing == "refuted":
        return f"Do not rely on {cut}: the attack refutes the zone that the statistics point to."
    if standing == "missed" and case.attack:
        first = case.attack.zone_post_hoc.first
        return f"The statistics show no zone, but the attack weakens from {first} on."
    return "No zone: no attacked cut of this model resists inversion."


def _statistics(scan: ScanRecord) -> list[str]:
    zone = scan.zone
    why = " ".join(zone.reasons)
    if not zone.decided:
        return [f"The default rule could not be applied. {why}".rstrip()]
    if zone.first is None:
        finding = (
            f"The default rule finds no cut from which on the representation becomes decision-like. {why}".rstrip()
        )
        return [finding, *_tokens(scan)]
    sentences = [f"By the default rule the zone begins at {zone.first}. {why}".rstrip()]
    if zone.confidence is not None:
        sentences[0] += f" {percent(zone.confidence)} of the jackknife folds give the same first cut."
    if scan.recommended and scan.recommended != zone.first:
        sentences.append(f"Within the zone, {scan.recommended} computes least on the device.")
    paper = scan.zone_paper
    if paper.decided and paper.first != zone.first:
        other = f"begins the zone at {paper.first}" if paper.first else "finds no zone"
        sentences.append(f"The paper's rule disagrees: it {other}.")
    return sentences


def _tokens(scan: ScanRecord) -> list[str]:
    if any(cut.kind != "tokens" for cut in scan.cuts if cut.level != "output"):
        return []
    return ["Every cut keeps its tokens apart, so the layout of the picture can survive to the end of the network."]


def _judgement(case: _Case, standing: Standing) -> list[str]:
    """How the attack bears on the zone, with the figures it was judged by."""
    attack, cut = case.attack, case.scan.recommended
    if attack is None:
        return ["Statistics of Z are a pointer, never a proof: attack the cut before you rely on it."]
    judged = attack.zone_post_hoc
    if standing == "open":
        if cut and cut not in case.worst:
            return [f"{cut} itself was not attacked."]
        unsaid = "results of its plan are missing." if not attack.complete else "its rule gives no reason."
        if cut and judged.decided and (unsure := _unsure(case, cut)):
            unsaid = f"at {cut} {listing(unsure)}."
        why = (" ".join(judged.reasons) if not judged.decided else "") or unsaid
        return [f"The attack cannot judge the zone yet: {why}"]
    if judged.first is None:
        return [
            "At no attacked cut does what is recovered beyond the class mean fall to half of what it is at the first."
        ]
    half = (
        f"From {judged.first} on, at most half of what the first attacked cut gives beyond the class mean is recovered."
    )
    if standing == "refuted":
        return [f"{half} {cut} lies before it."]
    if standing == "confirmed" and cut and cut != judged.first and case.place[judged.first] < case.place[cut]:
        less, more = (percent(edge_flops(case.cut(name))) for name in (judged.first, cut))
        half += (
            f" That is earlier than {cut}: cutting at {judged.first} needs {less} instead of {more} of the FLOPs on "
            f"the device, at {percent(case.worst[judged.first].recovered)} recovered."
        )
    quarter = attack.zone_post_hoc_quarter
    if (
        standing == "confirmed"
        and cut
        and quarter.decided
        and (not quarter.first or case.place[cut] < case.place[quarter.first])
    ):
        where = f"only from {quarter.first} on" if quarter.first else "at no attacked cut"
        return [half, f"A quarter, the stricter mark, is reached {where}."]
    return [half]


def _meaning(case: _Case, cut: str) -> list[str]:
    """What the figure at a cut says, in pixels and in persons."""
    worst = case.worst.get(cut)
    if worst is None or case.attack is None:
        return []
    view = case.attack.view
    images = plural(view.training_images + view.selection_images, "image")
    source = "of the same distribution" if view.auxiliary_same_data else f"of another data set ({view.auxiliary})"
    recovered = share(worst.recovered, worst.recovered_low, worst.recovered_high)
    sentence = (
        f"An attacker with {images} {source} recovers {recovered} of the pixel variance at {cut} with {worst.attack}"
    )
    if known(case.class_mean):
        sentence += f"; the class mean alone, without looking at Z, gives {percent(case.class_mean)}"
    sentences = [f"{sentence}."]
    told = [result for result in case.results(cut) if known(result.identification)]
    if told:
        best = max(told, key=lambda result: result.identification or 0)
        limits = interval(best.identification_low, best.identification_high)
        sentences.append(
            f"Among 20 images of the same predicted class its reconstruction picks out the right one in "
            f"{percent(best.identification)} {limits} of the cases; chance is 5{chr(160)}%.".replace("  ", " ")
        )
    return sentences


def _price(case: _Case, cut: str) -> list[str]:
    priced, image = case.cut(cut), prod(case.scan.model.input_shape)
    return [
        f"Cutting at {cut} keeps {percent(edge_params(priced))} of the parameters "
        f"({count(priced.edge_params)}) and {percent(edge_flops(priced))} of the FLOPs ({count(priced.edge_flops)}) on "
        f"the device and sends {size(priced.payload_bytes)} an image as fp32; the 8-bit image itself has {size(image)}."
    ]


def _advice(case: _Case, standing: Standing, cut: str | None) -> list[str]:
    if standing == "unattacked":
        return ["Run `goldcut attack` on this run, then `goldcut report`."]
    if standing == "open":
        return ["Run `goldcut attack` again, with the missing cuts or with `--effort large`."]
    if standing == "confirmed" and cut:
        recovered = percent(case.worst[cut].recovered)
        return [
            f"Split at {cut} if {recovered} recovered is acceptable for your images, with a margin: what these attacks "
            "recover is a floor, and a stronger attacker may recover more."
        ]
    if standing == "missed":
        return ["Treat it as a candidate: attack the cuts around it before you rely on it."]
    advice, least = [], case.least_leaking()
    if standing == "refuted" and case.attack and case.attack.zone_post_hoc.first:
        advice.append(f"Consider {case.attack.zone_post_hoc.first}, from which on the attack does weaken.")
    elif least:
        flops = percent(edge_flops(case.cut(least.cut)))
        advice.append(
            f"The attacked cut that leaks least is {least.cut}: {percent(least.recovered)} recovered, {flops} of the "
            "FLOPs on the device. If that is too much, no choice of cut alone will do."
        )
    return [
        *advice,
        "Change what is sent (fewer elements, noise, coarser numbers) or train with smoothed labels, then compare the "
        "two runs; or keep the whole model on the device.",
    ]


def _model_cautions(scan: ScanRecord) -> list[str]:
    cautions = []
    named = scan.model.checkpoint or scan.model.weights
    untrained = not named and scan.model.spec.startswith(("torchvision:", "timm:", "goldcut:"))
    if untrained:
        cautions.append("The model has random weights (no checkpoint or pretrained weights were named).")
    if scan.accuracy is None:
        cautions.append("The model's outputs were not compared with labels, so nothing says that it is well trained.")
    elif doubtful_accuracy(scan):
        chance = percent(1 / len(scan.data.classes))
        cautions.append(
            f"The model is right on only {percent(scan.accuracy)} of the images (chance: {chance}): "
            "a zone of a model that does not work says nothing about one that does."
        )
    return cautions


def _attack_cautions(case: _Case) -> list[str]:
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
