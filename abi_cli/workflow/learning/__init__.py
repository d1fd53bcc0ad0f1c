"""Learning in a run folder, by `train` and `resume`: the folder, the copied code, stored rows."""
