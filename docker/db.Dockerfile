# The paper's database: loaded and checked here, once, and kept as a seed that every container copies
# into its volume. docs/database.md tells how and why.
ARG DB_BASE_IMAGE=mysql:9.7

# A stage of its own, since it takes seconds and is the same for every export.
FROM ${DB_BASE_IMAGE} AS empty
# hadolint ignore=DL3002,DL3066
USER root
RUN --network=none install -d -m 750 -o mysql -g mysql /opt/empty \
  && mysqld --no-defaults --user=mysql --datadir=/opt/empty --lower-case-table-names=0 --initialize-insecure \
    --innodb-redo-log-capacity=100M --innodb-doublewrite=OFF --loose-innodb-numa-interleave=OFF \
    --auto-generate-certs=OFF --caching-sha2-password-auto-generate-rsa-keys=OFF

FROM ${DB_BASE_IMAGE}
# Root reads the export, whatever its owner and mode on the author's machine; mysqld itself drops to mysql.
# hadolint ignore=DL3066
USER root
RUN --network=none \
    --mount=type=bind,from=empty,source=/opt/empty,target=/empty \
    --mount=type=bind,source=export_data,target=/export \
    --mount=type=bind,source=docker/load_export.sh,target=/load/load_export.sh \
    --mount=type=bind,source=config/digest_tables.sh,target=/load/digest_tables.sh \
    --mount=type=bind,source=config/digests.sql,target=/load/digests.sql \
    bash /load/load_export.sh /export /empty /opt/seed \
  # A new volume gets owner and mode from here; another user id has group 0 on OpenShift.
  && chown mysql:0 /var/lib/mysql && chmod 770 /var/lib/mysql

COPY --chmod=644 config/mysqld.cnf /etc/mysql/conf.d/spyglass_export.cnf
COPY --chmod=644 config/digests.sql /opt/seed/digests.sql
COPY --chmod=755 config/entrypoint_db.sh config/healthcheck_db.sh config/digest_tables.sh /usr/local/bin/

# By number, which is how Kubernetes sees that it is not root.
# hadolint ignore=DL3066
USER 999:999
VOLUME /var/lib/mysql
ENTRYPOINT ["entrypoint_db.sh"]
CMD []
HEALTHCHECK --interval=2s --timeout=10s --start-period=10m --retries=5 CMD ["healthcheck_db.sh"]
