"""Child processes in which Keras runs, and the pool in the parent that starts, feeds, limits and kills them.

Importing this package, `pool` or `errors` loads neither Keras nor TensorFlow; only the modules on the child's
side of the channel do.
"""
