"""Can these posteriors be trusted? Metrics, a verdict and pictures, from draws of any origin.

- `scalars`: lays parameters out as scalars and reads their draws, once;
- `uniformity`, `bands`: what the ranks of exact posteriors look like, and how far these are off;
- `features`, `dependence`: whether posteriors know what the data tell;
- `joint`, `context`, `strata`: all parameters together, and data sets that are alike;
- `strays`: draws that the prior never gave;
- `points`: estimates of networks that have no draws;
- `summaries`: whether observed data are like simulated ones;
- `comparison`: two networks on the same data sets;
- `ratio`, `losses`: how many nats posteriors are from exact ones, at least;
- `measures`, `metrics`: all numbers;
- `faults`, `verdict`, `advice`: what they amount to, in words, and what to do about it;
- `plots` and its kin, `style`: how figures are drawn; `pictures`: which there are;
- `report`, `page`: all of it, written into a folder, and to be read.

Everything here is NumPy, SciPy and matplotlib; matplotlib is imported when the first picture is
drawn.
"""

from abi_cli.diagnostics.faults import Limits
from abi_cli.diagnostics.inputs import Inputs, Provenance
from abi_cli.diagnostics.metrics import ElementMetrics, Metrics, measure
from abi_cli.diagnostics.points import PointMetrics, measure_points
from abi_cli.diagnostics.report import diagnose, diagnose_points
from abi_cli.diagnostics.scalars import Scalars, Summary, element_labels, flatten, summarize
from abi_cli.diagnostics.summaries import Summaries
from abi_cli.diagnostics.uniformity import Uniformity
from abi_cli.diagnostics.verdict import ElementVerdict, Outcome, Verdict

__all__ = [
    "ElementMetrics",
    "ElementVerdict",
    "Inputs",
    "Limits",
    "Metrics",
    "Outcome",
    "PointMetrics",
    "Provenance",
    "Scalars",
    "Summaries",
    "Summary",
    "Uniformity",
    "Verdict",
    "diagnose",
    "diagnose_points",
    "element_labels",
    "flatten",
    "measure",
    "measure_points",
    "summarize",
]
