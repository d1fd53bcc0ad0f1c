"""Words become layers: the built layer of every network that a spec can name.

This is where `networks` and `nn` meet. A layer is constructed from its word, whose fields are its
options; what is made of others (fusion, ensembles), from their layers. A word that has a method
`build` makes its layer itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras

from abi_cli.networks import parts_inference, parts_summary
from abi_cli.networks.network import InferenceNetwork, Network, Shape, SummaryNetwork, entries
from abi_cli.nn import convolution, fixed, flow, free_form, mixture, point, series, sets
from abi_cli.nn.ensemble import Ensemble
from abi_cli.nn.fusion import Fusion
from abi_cli.registry import expected


def summary_layer(word: SummaryNetwork, shape: Shape | Mapping[str, Shape]) -> keras.Layer:
    """The built layer of a summary network.

    Arguments:
        shape: Of what is summarized in one data set, `(None, features)` for sets and series; of a
            group, by name.
    """
    own = word.build(shape if isinstance(shape, Mapping) or word.shaped else entries(shape))
    if own is not None:
        return own
    if isinstance(shape, Mapping):
        return _fusion(expected(word, parts_summary.Fusion), shape)
    layer: keras.Layer
    match word:
        case parts_summary.DeepSet():
            layer = sets.DeepSet(word)
        case parts_summary.SetTransformer():
            layer = sets.SetTransformer(word)
        case parts_summary.TimeSeriesTransformer():
            layer = sets.TimeSeriesTransformer(word)
        case parts_summary.TimeSeries():
            layer = series.TimeSeries(word)
        case parts_summary.Recurrent():
            layer = series.Recurrent(word)
        case parts_summary.Perceptron():
            layer = fixed.Perceptron(word)
        case parts_summary.Convolutional() if shape[0] is None:
            layer = convolution.SeriesConvolution(word)
        case parts_summary.Convolutional():
            layer = convolution.GridConvolution(word)
        case _:
            raise _without_layer(word)
    layer.build((1, *(1 if size is None else size for size in shape)))
    return layer


def _fusion(word: parts_summary.Fusion, shapes: Mapping[str, Shape]) -> keras.Layer:
    """The layer of a group of data, with a network for each of its members."""
    parts = {name: expected(part, SummaryNetwork) for name, part in word.networks.items()}
    head = expected(word.head, SummaryNetwork)
    return Fusion(
        members={name: summary_layer(part, shapes[name]) for name, part in parts.items()},
        head=summary_layer(
            head.model_copy(update={"summary_dim": word.summary_dim}),
            (sum(part.summary_dim for part in parts.values()),),
        ),
    )


def inference_layer(word: InferenceNetwork, dim: int, conditions: int, seed: int) -> keras.Layer:
    """The built layer of an inference network.

    Arguments:
        dim: Number of parameters.
        conditions: How many numbers they are given.
        seed: Seed of its choices and first weights; members of an ensemble have others.
    """
    own = word.build(dim, conditions, seed)
    if own is not None:
        return own
    layer: keras.Layer
    match word:
        case parts_inference.CouplingFlow():
            layer = flow.CouplingFlow(word, dim=dim, seed=seed)
        case parts_inference.AutoregressiveFlow():
            layer = flow.AutoregressiveFlow(word, dim=dim, seed=seed)
        case parts_inference.FlowMatching():
            layer = free_form.FlowMatching(word, dim=dim, seed=seed)
        case parts_inference.Diffusion():
            layer = free_form.Diffusion(word, dim=dim, seed=seed)
        case parts_inference.Consistency():
            layer = free_form.Consistency(word, dim=dim, seed=seed)
        case parts_inference.GaussianMixture():
            layer = mixture.GaussianMixture(word, dim=dim, seed=seed)
        case parts_inference.Point():
            layer = point.PointEstimates(word, dim=dim)
        case parts_inference.Ensemble():
            network = expected(word.network, InferenceNetwork)
            seeds = (seed + 1_000 * number for number in range(word.members))
            members = [inference_layer(network, dim, conditions, one) for one in seeds]
            return Ensemble(members=members)
        case _:
            raise _without_layer(word)
    layer.build((None, conditions))
    return layer


def _without_layer(word: Network) -> NotImplementedError:
    return NotImplementedError(f"Expected a layer of {word.name}; got neither one here nor `build`")
