"""Data sets and draws, in and out.

files      bytes in and out: files appear whole, standard streams
hdf5, zips files of strangers, looked over before they are read
contents   kinds of content, and the contract of the three carriers:
sheets, tables, wide_tables, draw_tables, table_rows   tables; read, and written
records, record_texts   objects of JSON
arrays     named arrays; growing: those larger than memory, on their way out
delimited, text_rows, cells, parquet, stan   codecs of tables
json_files, npz, netcdf                      codecs of the others
formats    the table of all codecs: the only place that names them
entries    the form into which every carrier brings data sets
spelling, meanings, label_like   meanings of names of columns and of words in cells
datasets   data sets and simulations as a model's layout says
several    data sets of several files
points     values of parameters
memory     tables in memory, by the rules of files
batches, requests    data sets as they come
preparing  real data within each data set
oddities   of data sets: values that no simulation had
draws      draws, their statistics, and what is known beforehand
answers    draws and estimates in and out
chains     draws of any tool
statistics of draws: their names and how they are computed
disagreement  of the members of an ensemble, from its draws
beyond     draws outside all that the prior gave
"""

from abi_cli.data.answers import (
    DrawWriter,
    open_draws,
    read_answers,
    read_draws,
    read_kind,
    write_estimates,
)
from abi_cli.data.batches import can_stream, read_batches
from abi_cli.data.contents import Kind
from abi_cli.data.datasets import (
    Loaded,
    read_datasets,
    read_described,
    read_shapes,
    read_simulations,
    write_parts,
    write_replicates,
    write_simulations,
)
from abi_cli.data.disagreement import Disagreement, disagreement_note
from abi_cli.data.draws import DrawHeader, Draws, Statistics, Style, collect
from abi_cli.data.entries import Asked, Naming
from abi_cli.data.memory import Frame, read_frame, read_frame_of_parameters
from abi_cli.data.oddities import oddities
from abi_cli.data.points import read_parameters
from abi_cli.data.several import Part, read_several
from abi_cli.data.statistics import STATISTICS, estimates_of, joined, summarize

__all__ = [
    "STATISTICS",
    "Asked",
    "Disagreement",
    "DrawHeader",
    "DrawWriter",
    "Draws",
    "Frame",
    "Kind",
    "Loaded",
    "Naming",
    "Part",
    "Statistics",
    "Style",
    "can_stream",
    "collect",
    "disagreement_note",
    "estimates_of",
    "joined",
    "oddities",
    "open_draws",
    "read_answers",
    "read_batches",
    "read_datasets",
    "read_described",
    "read_draws",
    "read_frame",
    "read_frame_of_parameters",
    "read_kind",
    "read_parameters",
    "read_several",
    "read_shapes",
    "read_simulations",
    "summarize",
    "write_estimates",
    "write_parts",
    "write_replicates",
    "write_simulations",
]
