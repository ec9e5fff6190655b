"""Formats per layer within a budget, against every mix simulated on its own."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

import accelsim
from accelsim.accelerator import load_accelerator
from accelsim.cost.area import area_of
from accelsim.cost.decoder_parts import decoder_parts
from accelsim.cost.technology import load_technology
from accelsim.format_choice import choose as search
from accelsim.format_choice.chip_cost import area_with, chip_for
from accelsim.formats.catalog import parse_format
from tests.format_choice.tiny_choice import (
    CHIP,
    FORMATS,
    LAYERS,
    PATTERN,
    error,
    every_mix,
    network,
    run,
    samples,
)

CLOCK = load_accelerator(CHIP).clock


def choose(**options) -> accelsim.FormatChoice:
    options.setdefault("layers", PATTERN)
    options.setdefault("formats", FORMATS)
    given = () if "errors" in options else (samples(),)
    return accelsim.choose_formats(CHIP, network(), options.pop("formats"), *given, **options)


def known_errors() -> dict[str, dict[str, float]]:
    return {layer: {text: error((layer,), (text,)) for text in FORMATS} for layer in LAYERS}


def chosen(found: accelsim.FormatChoice) -> tuple[str, ...]:
    return tuple(found.formats[layer] for layer in LAYERS)


def ms(cycles: int) -> float:
    return 1e3 * cycles / CLOCK


def test_without_a_budget_each_layer_takes_its_format_of_least_error() -> None:
    found = choose()
    table = known_errors()
    assert found.formats == {
        name: min(FORMATS, key=table[name].__getitem__) if name in LAYERS else "uniform" for name in network().weighted_layers
    }
    assert found.record.mix.whole_error == pytest.approx(whole_error(chosen(found)), rel=1e-9)


def whole_error(formats: tuple[str, ...]) -> float:
    """With the layers that keep 8 bits in them, too."""
    names = network().weighted_layers
    texts = dict(zip(LAYERS, formats, strict=True))
    return error(names, tuple(texts.get(name, "uniform:bits=8") for name in names))


def test_the_errors_of_layers_are_those_of_another_interpreter() -> None:
    found = choose()
    for row in found.options():
        if row["layer"] in LAYERS:
            assert row["error"] == pytest.approx(error((row["layer"],), (row["format"],)), rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.4, 0.6, 0.8, 1.0])
def test_the_choice_is_the_best_of_every_mix_that_keeps_to_the_time(share: float) -> None:
    cycles = sorted(item[1] for item in every_mix().values())
    most = int(cycles[0] + share * (cycles[-1] - cycles[0]))
    found = choose(errors=known_errors(), milliseconds=ms(most))
    errors, taken = every_mix()[chosen(found)]
    assert taken == found.result.cycles <= most
    assert errors == pytest.approx(min(item[0] for item in every_mix().values() if item[1] <= most), rel=1e-9)
    assert found.record.complete
    assert found.to_dict()["complete"]
    assert "no better one is left" in found.summary().replace("\n", " ")
    best = found.record.best_uniform
    uniform = {text: every_mix()[(text,) * len(LAYERS)] for text in FORMATS}
    within = {text: value for text, value in uniform.items() if value[1] <= most}
    assert (best.name if best else None) == (min(within, key=lambda text: within[text][0]) if within else None)


def test_the_time_of_a_mix_is_a_budget_that_it_keeps_to_and_a_cycle_less_is_not() -> None:
    fastest = min(item[1] for item in every_mix().values())
    assert choose(errors=known_errors(), milliseconds=ms(fastest)).result.cycles == fastest
    with pytest.raises(accelsim.AccelsimError) as caught:
        choose(errors=known_errors(), milliseconds=ms(fastest - 1))
    assert re.fullmatch(
        rf"no choice of formats keeps to {fastest - 1:,} cycles \(\S+ ms\); the fewest of 27 that were simulated are {fastest:,} "
        r"\(\S+ ms\), with .*",
        str(caught.value),
    )


def test_the_time_that_is_held_is_the_simulated_one_not_the_predicted() -> None:
    predicted_over = 0
    for cycles in sorted({item[1] for item in every_mix().values()})[::3]:
        found = choose(errors=known_errors(), milliseconds=ms(cycles))
        assert found.result.cycles <= cycles
        predicted_over += found.record.mix.predicted_cycles > cycles
    assert predicted_over  # a mix whose prediction exceeds the budget, and which keeps to it


def test_few_simulations_still_end_no_worse_than_the_best_uniform_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_MIXES", 1)
    monkeypatch.setattr(search, "MOST_LAYERS", 0)
    complete = set()
    taken = sorted({item[1] for item in every_mix().values()})
    for cycles in (*taken[::4], 10 * taken[-1]):
        uniform = [value[0] for text in FORMATS if (value := every_mix()[(text,) * 3])[1] <= cycles]
        if not uniform:
            with pytest.raises(accelsim.AccelsimError, match=r"^no choice of formats that was simulated keeps to"):
                choose(errors=known_errors(), milliseconds=ms(cycles))
            continue
        found = choose(errors=known_errors(), milliseconds=ms(cycles))
        assert found.result.cycles <= cycles
        assert every_mix()[chosen(found)][0] <= min(uniform, default=np.inf)
        best = min(value[0] for value in every_mix().values() if value[1] <= cycles)
        if found.record.complete:
            assert every_mix()[chosen(found)][0] == pytest.approx(best, rel=1e-9)
        complete.add(found.record.complete)
    assert complete == {True, False}


@pytest.mark.parametrize("seed", range(4))
def test_random_errors_are_answered_by_the_best_mix(seed: int) -> None:
    rng = np.random.default_rng(seed)
    errors = {layer: {text: float(rng.choice([0, 1, rng.uniform(0, 3)])) for text in FORMATS} for layer in LAYERS}
    sums = {formats: sum(errors[layer][text] for layer, text in zip(LAYERS, formats, strict=True)) for formats in every_mix()}
    cycles = int(rng.choice([item[1] for item in every_mix().values()]))
    found = choose(errors=errors, milliseconds=ms(cycles))
    assert sums[chosen(found)] == pytest.approx(min(value for formats, value in sums.items() if every_mix()[formats][1] <= cycles))


def test_area_is_that_of_the_chip_with_all_formats_of_the_mix() -> None:
    found = choose(errors=known_errors())
    for row in found.choices():
        if row["choice"] in FORMATS:
            assert row["area_mm2"] == pytest.approx(run((row["choice"],) * 3).cost().area_mm2.nominal, rel=1e-12)
    areas = {formats: run(formats).cost().area_mm2.nominal for formats in every_mix()}
    for limit in sorted(set(areas.values())):
        best = min(every_mix()[formats][0] for formats, area in areas.items() if area <= limit)
        small = choose(errors=known_errors(), area_mm2=limit)
        assert areas[chosen(small)] <= limit
        assert every_mix()[chosen(small)][0] == pytest.approx(best, rel=1e-9)
    least = min(areas.values())
    with pytest.raises(accelsim.AccelsimError, match=rf"^no choice of formats keeps to 0.5 mm2; the least area is {least:.6g} mm2, with "):
        choose(errors=known_errors(), area_mm2=0.5)


def test_parts_that_the_area_of_a_chip_lacks_are_built_for_each_format_once() -> None:
    formats, technology = ["nf4:group=64", "uniform:bits=4"], load_technology("nangate45")
    chip = chip_for(load_accelerator(CHIP), formats, fit=True)
    area = area_of(chip, technology)
    (table,) = decoder_parts(parse_format(formats[0]).decode_path(), chip, technology)
    assert not decoder_parts(parse_format(formats[1]).decode_path(), chip, technology)
    expected = area.placed_um2.nominal + area.placed(table).nominal
    assert area_with(chip, formats, technology).nominal == pytest.approx(expected)
    assert area_with(chip, [*formats, "nf4:group=32"], technology).nominal == pytest.approx(expected)


def test_stored_bytes_are_held() -> None:
    free = choose(errors=known_errors())
    bytes_of = {row["choice"]: row["stored_bytes"] for row in free.choices()}
    packed = accelsim.compress(network(), {PATTERN: FORMATS[1]})
    streams = [record for item in packed.record.weighted_layers() for record in item.weight.streams.values()]
    assert bytes_of[FORMATS[1]] == sum(-(-record.bits // 8) for record in streams)
    most = free.record.mix.stored_bytes - 1
    small = choose(errors=known_errors(), stored_bytes=most)
    assert small.record.mix.stored_bytes <= most
    least = min(bytes_of.values())
    assert choose(errors=known_errors(), stored_bytes=least).record.mix.stored_bytes <= least
    with pytest.raises(accelsim.AccelsimError, match=r"^no choice of formats keeps to 100 B of weights; the fewest are [\d,]+ B, with "):
        choose(errors=known_errors(), stored_bytes=100)


def test_formats_that_no_chip_serves_together_are_left_out_with_the_reason() -> None:
    formats = ("vq:k=64,d=4", "universal_vq:k=64,d=4")  # a codebook of a layer's own, and one in ROM
    errors = {layer: dict.fromkeys(formats, 1.0) for layer in LAYERS}
    errors[LAYERS[0]][formats[0]] = errors[LAYERS[1]][formats[1]] = 0.0
    found = choose(formats=formats, errors=errors)
    assert len(set(chosen(found))) == 1
    (reason,) = set(found.record.left_out.values())
    assert "the ROM of 'mcu-16x16' holds one" in reason


def test_the_recipe_is_the_mix_for_compress_and_its_run_is_the_choice(tmp_path: Path) -> None:
    found = choose(errors=known_errors(), milliseconds=ms(sorted(item[1] for item in every_mix().values())[8]))
    folder = found.save(tmp_path / "choice")
    packed = accelsim.compress(network(), folder / "recipe.yaml", name="again")
    assert accelsim.simulate(CHIP, packed, fit_codebook=True).cycles == found.result.cycles
    assert packed.record.manifest.layers == found.trace.record.manifest.layers
    again = accelsim.choose_formats(
        CHIP, network(), FORMATS, errors=folder / "errors.csv", layers=PATTERN, milliseconds=found.result.milliseconds
    )
    assert again.formats == found.formats
    with (folder / "choices.csv").open() as file:
        assert [row["choice"] for row in csv.DictReader(file)] == [found.record.mix.name, *FORMATS]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": []}, "a choice is given 0 formats; allowed: 1 to 10"),
        ({"formats": ["vq:k=64,d=4", "vq:d=4,k=64"]}, "format 'vq:k=64,d=4' is given twice; allowed: each format once"),
        ({"formats": "uniform:bits=4"}, "formats: 'uniform:bits=4' is of type str; allowed: a list of formats' texts such as "),
        ({"formats": ["vq:k=4096,d=4"]}, "layer 'vit.layers.0.attention.v_proj': k=4096 codewords"),
        ({"milliseconds": 0}, "milliseconds has value 0; allowed: a finite number above 0"),
        ({"milliseconds": 1e300}, "milliseconds has value 1e+300; allowed: a time of at most 4,611,686,018,427,387,904 cycles"),
        ({"milliseconds": 1e308, "set": {"clock": "2 GHz"}}, "milliseconds has value 1e+308; allowed: a time of at most"),
        ({"area_mm2": "2"}, "area_mm2: '2' is of type str; allowed: a number"),
        ({"stored_bytes": 0}, "stored_bytes has value 0; allowed: 1 or more"),
        ({"layers": "decoder.*"}, "the pattern 'decoder.*' matches no layer with weights"),
        ({"errors": {}}, f"no error is given of layer {LAYERS[0]!r} in 'uniform:bits=4', which it may take; allowed: a number for each"),
        ({"errors": {"fc9": {}}}, "errors are given for 'fc9', which is no layer with weights"),
        (
            {"errors": {LAYERS[0]: {"uniform:bits=4": float("nan")}}},
            f"the error of layer {LAYERS[0]!r} in 'uniform:bits=4' is nan; allowed: a finite number",
        ),
        (
            {"errors": {LAYERS[0]: {"uniform:bits=4": -1e301}}},
            f"the error of layer {LAYERS[0]!r} in 'uniform:bits=4' is -1e+301; allowed: a finite number of at most 1e+300",
        ),
        (
            {"errors": {LAYERS[0]: {"vq:k=64,d=4": 1.0, "vq:d=4,k=64": 2.0}}},
            f"the error of layer {LAYERS[0]!r} in 'vq:k=64,d=4' is given twice, once as 'vq:d=4,k=64'; allowed: once",
        ),
        ({"errors": 3}, "errors: 3 is of type int; allowed: a mapping of layers to mappings of formats to numbers, or the path"),
    ],
)
def test_a_wrong_argument_is_one_sentence(options: dict, message: str) -> None:
    with pytest.raises(accelsim.AccelsimError) as caught:
        choose(**options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_samples_or_errors_are_needed_and_not_both() -> None:
    for given in ((), (samples(),)):
        with pytest.raises(accelsim.AccelsimError, match=r"takes one of `inputs` \(samples to measure errors on\) and `errors`"):
            accelsim.choose_formats(CHIP, network(), FORMATS, *given, errors=known_errors() if given else None)


def test_a_compressed_trace_is_refused() -> None:
    with pytest.raises(accelsim.AccelsimError, match="trace 'tiny_vit_int8' is compressed already; allowed: a float trace"):
        accelsim.choose_formats(CHIP, "tiny_vit_int8", FORMATS, samples())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer,error\n", "column 'format' is missing; the header has: layer, error"),
        ("layer,format,error\nfc1,vq,x\n", "line 2: `error` is 'x'; allowed: a finite number"),
        ("layer,format,error\nfc1,vq,1\nfc1,vq,1\n", "line 3: 'vq' of layer 'fc1' is given twice"),
    ],
)
def test_a_wrong_file_of_errors_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "errors.csv"
    file.write_text(text)
    with pytest.raises(accelsim.AccelsimError) as caught:
        choose(errors=file)
    assert str(caught.value).startswith(str(file))
    assert message in str(caught.value)
