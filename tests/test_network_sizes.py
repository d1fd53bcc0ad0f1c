"""`size` of a network: an abbreviation that is written out."""

import json

import pytest

from abi_cli import registry
from abi_cli.networks.network import Network
from abi_cli.spec import InvalidSpecError, parse_spec
from abi_cli.spec.commented import commented_spec
from abi_cli.spec.dump import dump_spec
from tests.cli import abi

SPEC = """
name: example
model:
  prior: model.py:prior
  likelihood: model.py:likelihood
networks:
"""
NETWORKS = [
    (kind, name)
    for kind in ("summary network", "inference network")
    for name in registry.names(kind)
]


def spec_of(kind, name, **options):
    section = kind.partition(" ")[0]
    if name == "fusion":
        options |= {"networks": {"x": "deep_set"}}
    written = ", ".join(f"{option}: {value}" for option, value in options.items())
    return parse_spec(f"{SPEC}  {section}: {{{name}: {{{written}}}}}\n".replace("'", ""))


def of(spec, kind):
    return getattr(spec.networks, kind.partition(" ")[0])


@pytest.mark.parametrize(("kind", "name"), NETWORKS)
def test_a_size_is_the_options_that_it_stands_for(kind, name):
    plain = of(spec_of(kind, name), kind)
    assert of(spec_of(kind, name, size="base"), kind) == plain
    for size, filled in registry.get(kind, name).SIZES.items():
        spec = spec_of(kind, name, size=size)
        sized = of(spec, kind)
        assert sized != plain
        for option, value in filled.items():
            if isinstance(value, dict):  # a part, which has sizes of its own
                assert getattr(sized, option) != getattr(plain, option)
            else:
                assert getattr(sized, option) == value
        for written in (dump_spec(spec), commented_spec(spec)):
            assert "size: " not in written.replace("batch_size", "")
            assert parse_spec(written) == spec
        assert registry.from_config(kind, sized.to_config()) == sized


def test_lists_within_networks_within_networks_come_back():
    spec = spec_of("summary network", "fusion")
    inner = registry.from_config("summary network", {"convolutional": {"widths": [4, 8]}})
    fusion = spec.networks.summary.model_copy(update={"networks": {"x": inner}})
    again = registry.from_config("summary network", json.loads(json.dumps(fusion.to_config())))
    assert again == fusion


@pytest.mark.parametrize(("kind", "name"), NETWORKS)
def test_what_is_written_wins(kind, name):
    for size, filled in registry.get(kind, name).SIZES.items():
        numbers = {option for option, value in filled.items() if isinstance(value, int)}
        for option in numbers if len(filled) > 1 else ():
            sized = of(spec_of(kind, name, size=size, **{option: 12}), kind)
            assert getattr(sized, option) == 12
            others = filled.keys() - {option}
            assert all(getattr(sized, other) == filled[other] for other in others & numbers)


def test_a_size_that_says_nothing_is_refused():
    for options in ({"size": "small", "depth": 2, "width": 8}, {"size": "huge"}):
        with pytest.raises(InvalidSpecError):
            spec_of("inference network", "coupling_flow", **options)

    class Plain(Network):
        """A network of one size."""

        name = "plain"

    assert Plain.model_validate({"size": "base"}) == Plain()
    with pytest.raises(ValueError, match="plain has only one"):
        Plain.model_validate({"size": "small"})


def test_sizes_are_explained():
    shown = " ".join(abi("explain", "deep_set").stdout.split())
    assert "large: width 128, depth 3, summary_dim 32." in shown
