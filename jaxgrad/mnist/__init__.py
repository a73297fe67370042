"""The MNIST perceptron, from the bytes of the images to the accuracy.

`jaxgrad.mnist.data` reads the images and needs JAX and NumPy only, until it is asked
for a data set that another package brings. The other modules need the `experiments`
extra: `pip install "jaxgrad[experiments]"`. Nothing else in the library imports them.
"""
