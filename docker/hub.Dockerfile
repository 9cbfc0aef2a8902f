# JupyterLab for one paper. Layers go from what rarely changes to what often does.
ARG HUB_BASE_IMAGE=quay.io/jupyter/base-notebook:python-3.12
FROM ${HUB_BASE_IMAGE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
USER 0

# The names are Debian's and Ubuntu's; HUB_APT_PACKAGES in .env has another list, or none.
ARG HUB_APT_PACKAGES="git ffmpeg libsm6 libxext6 libgl1 libglib2.0-0 build-essential g++"
# The cache mounts keep what was downloaded from one build to the next, and out of the image. The base's
# docker-clean would empty them.
# hadolint ignore=DL3008,SC2086
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
  if [ -n "$HUB_APT_PACKAGES" ]; then \
    rm -f /etc/apt/apt.conf.d/docker-clean \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $HUB_APT_PACKAGES; \
  fi

# Any user id may run the container: an author's own, so that notebooks belong to them on the host, or the one that
# a cluster gives, in whatever group. Nobody else is in there.
RUN install -d -m 2775 -o 1000 -g 100 /opt/paper /home/jovyan/.cache \
  && install -d -m 2777 -o 1000 -g 100 /opt/paper/packages /home/jovyan/data /home/jovyan/notebooks \
  && chmod -R a+rwX /home/jovyan

USER 1000:100
# With modes of their own: a clone made under a strict umask has files that only its owner may read.
COPY --chmod=644 docker/with_ca_bundle.sh /opt/paper/
# Pillow compares figures, also for readers, and whatever the paper's own environment has.
RUN --mount=type=secret,id=ca_bundle,mode=0444 \
    --mount=type=cache,target=/home/jovyan/.cache,uid=1000,gid=100,sharing=locked \
  umask 002 \
  && bash /opt/paper/with_ca_bundle.sh /opt/conda/bin/python -m pip install --quiet 'pillow>=10.3'

ARG PAPER_ID
# The lock is there where the environment could be solved.
COPY --chmod=644 docker/install_environment.py export_data/environment.yml export_data/environment.lock.ym[l] /opt/paper/
RUN --mount=type=secret,id=ca_bundle,mode=0444 \
    --mount=type=cache,target=/opt/conda/pkgs,uid=1000,gid=100,sharing=locked \
    --mount=type=cache,target=/home/jovyan/.cache,uid=1000,gid=100,sharing=locked \
  umask 002 \
  && bash /opt/paper/with_ca_bundle.sh /opt/conda/bin/python /opt/paper/install_environment.py "$PAPER_ID"

ENV PAPER_ID=${PAPER_ID}
COPY --chmod=644 config/activate.sh config/.datajoint_config.json config/write_kernel.py \
  config/sync_notebooks.py config/run_notebook.py config/pin_dandiset.py config/pip.conf \
  config/front_ends.py config/paper_settings.py /opt/paper/
COPY --chmod=755 config/compare /opt/paper/compare
COPY --chmod=644 config/jupyter_server_config.py /opt/conda/etc/jupyter/
COPY --chmod=644 config/jupyterlab_overrides.json /opt/conda/share/jupyter/lab/settings/overrides.json
COPY --chmod=755 config/entrypoint.py config/healthcheck_hub.py /usr/local/bin/
RUN --mount=type=secret,id=ca_bundle,mode=0444 \
    --mount=type=cache,target=/home/jovyan/.cache,uid=1000,gid=100,sharing=locked \
  bash /opt/paper/with_ca_bundle.sh /opt/conda/bin/python /opt/paper/front_ends.py \
  && /opt/conda/bin/python /opt/paper/write_kernel.py \
  && echo '. /opt/paper/activate.sh' >> /home/jovyan/.bashrc

# What was installed in the end, for anyone to read without starting the image; docs/publishing.md tells how.
RUN install -d /opt/paper/installed \
  && "/opt/conda/envs/$PAPER_ID/bin/python" -m pip freeze --all > /opt/paper/installed/pip-freeze.txt \
  && conda list --name "$PAPER_ID" --explicit --md5 > /opt/paper/installed/conda-explicit.txt \
  && left_out="/opt/conda/envs/$PAPER_ID/conda-meta/left-out.txt" \
  && if [ -f "$left_out" ]; then cp "$left_out" /opt/paper/installed/; fi

WORKDIR /home/jovyan
# Readers have them in a volume, which entrypoint.py keeps up to date; over the author's own are mounted. The last
# layer, without which two images are the same software (`fingerprint` in notebooks/results.py).
COPY --chown=1000:100 notebooks /opt/paper/notebooks

ENTRYPOINT ["tini", "-g", "--", "/opt/conda/bin/python", "/usr/local/bin/entrypoint.py"]
CMD ["start-notebook.py"]
HEALTHCHECK --interval=3s --timeout=10s --start-period=120s --retries=3 CMD ["healthcheck_hub.py"]
