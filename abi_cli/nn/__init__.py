"""Mathematics of the networks in Keras. It knows nothing of specs."""
