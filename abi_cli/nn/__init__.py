"""The mathematics in Keras: shapes in, shapes out. It knows nothing of specs."""
