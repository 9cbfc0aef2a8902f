# Stands in for quay.io/jupyter/base-notebook where no container registry is reachable: JupyterLab in
# /opt/conda, user jovyan (1000:100), tini and start.sh, and the calls of mamba and conda that this project makes, on
# a channel of Debian's Python and PyPI's wheels.
ARG DEBIAN_IMAGE=spyglass-export/debian:bookworm
FROM ${DEBIAN_IMAGE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# hadolint ignore=DL3008
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    ca-certificates python3 python3-venv sudo tini \
  && rm -rf /var/lib/apt/lists/*

ENV CONDA_DIR=/opt/conda \
    SHELL=/bin/bash \
    NB_USER=jovyan \
    NB_UID=1000 \
    NB_GID=100 \
    LC_ALL=C.UTF-8 \
    LANG=C.UTF-8 \
    PATH=/opt/conda/bin:$PATH \
    HOME=/home/jovyan

RUN useradd --no-log-init --create-home --shell /bin/bash --uid 1000 --gid 100 --no-user-group jovyan \
  && chmod g+w /etc/passwd \
  && install -d -m 2775 -o jovyan -g users /opt/conda \
  && chmod 2775 /home/jovyan

USER 1000
WORKDIR /home/jovyan

COPY --chmod=755 with_ca_bundle.sh /usr/local/bin/
# hadolint ignore=DL3013,DL3042
RUN --mount=type=secret,id=ca_bundle,mode=0444 \
    --mount=type=cache,target=/home/jovyan/.cache,uid=1000,gid=100 \
  python3 -m venv /opt/conda \
  && with_ca_bundle.sh /opt/conda/bin/pip install --quiet uv \
  && with_ca_bundle.sh /opt/conda/bin/uv pip install --quiet --python /opt/conda/bin/python \
    jupyterhub jupyterlab nbconvert packaging 'py-rattler>=0.28,<0.29' pyyaml requests

COPY --chmod=644 base/make_channel.py /opt/
RUN --mount=type=secret,id=ca_bundle,mode=0444 \
    --mount=type=cache,target=/home/jovyan/.cache,uid=1000,gid=100 \
  with_ca_bundle.sh /opt/conda/bin/python /opt/make_channel.py /opt/conda/channel \
  && install -d -m 2775 /opt/conda/envs /opt/conda/pkgs

USER 0
COPY --chmod=755 base/mamba.py /opt/conda/bin/mamba
COPY --chmod=755 base/activate.sh /opt/conda/bin/activate
COPY --chmod=755 base/start.sh base/start-notebook.py /usr/local/bin/
RUN ln -s mamba /opt/conda/bin/conda

USER 1000
EXPOSE 8888
ENTRYPOINT ["tini", "-g", "--", "start.sh"]
CMD ["start-notebook.py"]
