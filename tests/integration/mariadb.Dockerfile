# A MariaDB server and mariadb-dump, for dumps that only MariaDB writes.
ARG DEBIAN_IMAGE=spyglass-export/debian:trixie
FROM ${DEBIAN_IMAGE}

# hadolint ignore=DL3008
RUN apt-get update \
  && apt-get install --yes --no-install-recommends mariadb-server mariadb-client \
  && rm -rf /var/lib/apt/lists/*
