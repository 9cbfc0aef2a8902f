# A reader's machine without Docker: rootless Podman of Debian 12, and the packages that the bundle's README names.
ARG HUB_BASE_IMAGE
FROM ${HUB_BASE_IMAGE}
# hadolint ignore=DL3002,DL3066
USER 0
# hadolint ignore=DL3008
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    catatonit curl podman slirp4netns uidmap \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 2001 --shell /bin/bash ada \
  && install -d -o ada /home/ada/.local /home/ada/.local/share /home/ada/.local/share/containers
RUN --mount=type=bind,source=with_ca_bundle.sh,target=/with_ca_bundle.sh \
    --mount=type=secret,id=ca_bundle,mode=0444 \
  bash /with_ca_bundle.sh /opt/conda/bin/pip install --quiet --no-cache-dir invoke python-dotenv rich zstandard
# Layers of images need a disk that is no overlay itself.
VOLUME /home/ada/.local/share/containers
ENTRYPOINT ["sleep", "infinity"]
