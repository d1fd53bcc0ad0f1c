"""Data sets and draws, in and out.

files      bytes in and out: files appear whole, standard streams
hdf5, zips files of strangers, looked over before they are read
entries    what every reader makes of a file
text_rows, tables, cells   delimited text, column by column
spelling, meanings   what names of columns and words in cells stand for
delimited, jsonl, json_list, json_rows, npz, netcdf, parquet, stan     one format each
long_tables, wide_tables, records, record_texts, arrays   what they share
formats    their table: the only place that names them
datasets   data sets and simulations as a model's layout says
several    data sets of several files
points     values of parameters
batches, requests    data sets as they come
preparing  what is done with real data within each data set
oddities   what they have that simulations had not
draws      draws and what is known beforehand
draw_files, chains   draws in and out, of any tool
statistics what they are called and how they are computed
summary    draws in a few numbers
estimates  point estimates, in and out
disagreement  of the members of an ensemble, from its draws
"""

from abi_cli.data.batches import can_stream, read_batches
from abi_cli.data.datasets import (
    Loaded,
    read_datasets,
    read_described,
    read_shapes,
    read_simulations,
    write_replicates,
    write_simulations,
)
from abi_cli.data.disagreement import Disagreement, disagreement_told
from abi_cli.data.draw_files import DrawWriter, open_draws, read_draws, read_kind
from abi_cli.data.draws import DrawHeader, Draws, Estimates, Style, collect
from abi_cli.data.entries import Asked, Naming
from abi_cli.data.estimates import estimates_of, joined, read_answers, write_estimates
from abi_cli.data.oddities import oddities
from abi_cli.data.points import read_parameters
from abi_cli.data.several import Part, read_several
from abi_cli.data.summary import STATISTICS, Summary, summarize

__all__ = [
    "STATISTICS",
    "Asked",
    "Disagreement",
    "DrawHeader",
    "DrawWriter",
    "Draws",
    "Estimates",
    "Loaded",
    "Naming",
    "Part",
    "Style",
    "Summary",
    "can_stream",
    "collect",
    "disagreement_told",
    "estimates_of",
    "joined",
    "oddities",
    "open_draws",
    "read_answers",
    "read_batches",
    "read_datasets",
    "read_described",
    "read_draws",
    "read_kind",
    "read_parameters",
    "read_several",
    "read_shapes",
    "read_simulations",
    "summarize",
    "write_estimates",
    "write_replicates",
    "write_simulations",
]
