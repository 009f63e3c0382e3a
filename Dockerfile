# One image for every role: the command says which.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
COPY streams ./streams
RUN python -m venv /opt/tocsin \
 && /opt/tocsin/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
 && /opt/tocsin/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim
COPY --from=build /opt/tocsin /opt/tocsin
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/tocsin tocsin
ENV PATH=/opt/tocsin/bin:$PATH PYTHONUNBUFFERED=1 TOCSIN_DATADIR=/var/lib/tocsin
USER tocsin
WORKDIR /var/lib/tocsin
ENTRYPOINT ["tocsin"]
CMD ["--help"]
