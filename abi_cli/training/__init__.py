"""Learning: blocks of batches, optimizers, schedules, callbacks, and the loop over them."""
