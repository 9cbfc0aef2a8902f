# An image with one more label: what the test of the notebooks said, which nobody knows while the image is built.
# The layers are the same; docker build is given the label.
ARG IMAGE
# hadolint ignore=DL3006
FROM ${IMAGE}
