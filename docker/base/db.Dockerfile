# Stands in for mysql:9.7 where no container registry is reachable: the same server, user, paths and
# configuration files, from Debian's packages.
ARG DEBIAN_IMAGE=spyglass-export/debian:trixie
FROM ${DEBIAN_IMAGE}

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

# The mirror is the one that debootstrap was given. A mirror's copy of sid may be older than its
# Valid-Until date, hence the option.
# hadolint ignore=DL3008
RUN groupadd --system --gid 999 mysql \
  && useradd --system --uid 999 --gid 999 --home-dir /var/lib/mysql --shell /bin/bash mysql \
  && sed -n 's/^deb \(.*\) trixie main.*/deb [check-valid-until=no] \1 sid main/p' /etc/apt/sources.list \
    > /etc/apt/sources.list.d/sid.list \
  && apt-get update \
  && apt-get install --yes --no-install-recommends mysql-server-core mysql-client-core mysql-client \
  && rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/sid.list /etc/mysql \
  && install -d -m 755 /etc/mysql/conf.d \
  && install -d -m 1777 -o mysql -g mysql /var/lib/mysql /var/run/mysqld \
  && install -d -m 750 -o mysql -g mysql /var/lib/mysql-files

COPY --chmod=644 base/my.cnf /etc/my.cnf

VOLUME /var/lib/mysql
EXPOSE 3306 33060
CMD ["mysqld"]
