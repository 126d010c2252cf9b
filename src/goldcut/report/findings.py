"""What a run found, why, and what to do about it, in sentences."""

from math import prod

from goldcut.records import Knowledge, ScanRecord, unsettled
from goldcut.report.case import Case, Standing
from goldcut.report.figures import edge_flops, edge_params
from goldcut.report.quantities import count, interval, known, listing, percent, plural, share, size

KNOWING: dict[Knowledge, str] = {
    "none": "knowing nothing of the edge",
    "architecture": "knowing its architecture",
    "queries": "with its answers to any image",
    "weights": "with its weights",
}


ALMOST_ALL = 0.95
"""Share of the FLOPs on the device from which on a split is one in name only."""


def statistics(scan: ScanRecord) -> list[str]:
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


def judgement(case: Case, standing: Standing) -> list[str]:
    """How the attack bears on the zone, with the figures it was judged by."""
    attack, cut = case.attack, case.scan.recommended
    if attack is None:
        return ["Statistics of Z are a pointer, never a proof: attack the cut before you rely on it."]
    judged = attack.zone_post_hoc
    if standing == "open":
        if cut and cut not in case.worst:
            return [*_refutation(case), f"{cut} itself was not attacked."]
        unsaid = "results of its plan are missing." if not attack.complete else "its rule gives no reason."
        if cut and judged.decided and (unsure := unsettled(attack, cut)):
            unsaid = f"at {cut} {listing(unsure)}."
        why = (" ".join(judged.reasons) if not judged.decided else "") or unsaid
        return [
            *_refutation(case),
            f"The attack cannot judge the {'rest of the ' * bool(case.overthrown)}zone yet: {why}",
        ]
    if standing == "refuted" and not judged.decided:
        return [*_refutation(case), f"Where a zone begins instead it cannot tell yet: {' '.join(judged.reasons)}"]
    if judged.first is None:
        return [
            "At no attacked cut does what is recovered beyond the class mean fall to half of what it is at the first."
        ]
    half = (
        f"From {judged.first} on, at most half of what the first attacked cut gives beyond the class mean is recovered."
    )
    if standing == "refuted":
        return [f"{half} {cut} lies before it."]
    if standing == "confirmed":
        half = f"The attack confirms the zone at {cut}: {half[0].lower()}{half[1:]}"
        before = [name for name in case.scan.zone.cuts if case.place[name] < case.place[judged.first]]
        if before:
            gained = {name: f" ({percent(one.recovered)} recovered)" for name, one in case.worst.items()}
            named = listing([f"{name}{gained.get(name, '')}" for name in before])
            half += f" It refutes {named}, which the default rule takes in as well."
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


def _refutation(case: Case) -> list[str]:
    """What no better attack can take back: it would only find more."""
    if not case.overthrown:
        return []
    named = listing([f"{name} ({percent(case.worst[name].recovered)} recovered)" for name in case.overthrown])
    return [f"The attack refutes {named} and what lies before: a better one only recovers more."]


def meaning(case: Case, cut: str) -> list[str]:
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
    if best := case.told_apart(cut):
        limits = interval(best.identification_low, best.identification_high)
        sentences.append(
            f"Among 20 images of the same predicted class its reconstruction picks out the right one in "
            f"{percent(best.identification)} {limits} of the cases; chance is 5{chr(160)}%.".replace("  ", " ")
        )
    return sentences + weaker(case, cut)


def weaker(case: Case, cut: str) -> list[str]:
    """What attackers get at a cut who know less of the edge than the strongest one, where that is less."""
    levels = case.attack.worst_by_knowledge if case.attack else {}
    seen = {level: one for level, found in levels.items() for one in found if one.cut == cut}
    if len({one.attack for one in seen.values()}) < 2:
        return []
    got = [f"{percent(one.recovered)} {KNOWING[level]} ({one.attack})" for level, one in seen.items()]
    return [f"By what the attacker knows: {', '.join(got)}."]


def price(case: Case, cut: str) -> list[str]:
    """What a cut costs on the device and on the wire, and whether it leaves the cloud anything to do."""
    priced, image = case.cut(cut), prod(case.scan.model.input_shape)
    sentences = [
        f"Cutting at {cut} keeps {percent(edge_params(priced))} of the parameters "
        f"({count(priced.edge_params)}) and {percent(edge_flops(priced))} of the FLOPs ({count(priced.edge_flops)}) on "
        f"the device and sends {size(priced.payload_bytes)} an image as fp32; the 8-bit image itself has {size(image)}."
    ]
    if edge_flops(priced) >= ALMOST_ALL:
        sentences.append(
            "That leaves the cloud next to nothing to compute: the price of this cut is to run the model on the device."
        )
    return sentences


def advice(case: Case, standing: Standing, cut: str | None) -> list[str]:
    if standing == "unattacked":
        return ["Run `goldcut attack` on this run, then `goldcut report`."]
    again = "Run `goldcut attack` again, with the missing cuts or with `--effort large`"
    if standing == "open":
        return [f"{again}."]
    if standing == "confirmed" and cut:
        recovered = percent(case.worst[cut].recovered)
        return [
            f"Split at {cut} if {recovered} recovered is acceptable for your images, with a margin: what these attacks "
            "recover is a floor, and a stronger attacker may recover more."
        ]
    if standing == "missed":
        return ["Treat it as a candidate: attack the cuts around it before you rely on it."]
    advice, least = [], case.least_leaking()
    if standing == "refuted" and case.attack and not case.attack.zone_post_hoc.decided:
        advice.append(f"{again}, to see whether another cut does better.")
    elif standing == "refuted" and case.attack and case.attack.zone_post_hoc.first:
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
