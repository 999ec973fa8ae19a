"""Model files as graphs: uploaded, read as data in a child without Keras, and drawn."""
