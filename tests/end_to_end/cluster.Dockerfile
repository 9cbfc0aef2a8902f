# A cluster's node: Apptainer, Slurm, and two users with no rights. Debian has Apptainer in sid only.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# A mirror's copy of sid may be older than its Valid-Until date, hence the option.
# hadolint ignore=DL3008,SC2016
RUN mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sed -n 1p) \
  && echo "deb [check-valid-until=no trusted=yes] $mirror sid main" > /etc/apt/sources.list.d/sid.list \
  && apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
    apptainer fuse-overlayfs iproute2 munge procps slurm-client slurm-wlm slurmctld slurmd squashfuse tini zstd \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 2001 --shell /bin/bash ada \
  && useradd --create-home --uid 2002 --shell /bin/bash bob
WORKDIR /share
COPY start_slurm.sh /usr/local/bin/
ENTRYPOINT ["tini", "--", "bash", "/usr/local/bin/start_slurm.sh"]
