"""What can be drawn with: layers, optimizers, losses, metrics and activations, as the pinned Keras has them."""
