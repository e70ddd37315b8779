# Cohort on Debian 13, for CPUs. The first stage compiles and packs; the second holds what running needs.
#   docker build --tag cohort .
#   docker run --rm --volume ./photos:/photos:ro --volume ./runs:/runs cohort train /photos runs=/runs
FROM debian:trixie-slim AS build
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates nodejs npm g++ make \
    libtorch-dev libopenblas0-openmp libdnnl-dev \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN npm ci --include=dev --ignore-scripts --no-audit --no-fund \
  && node packages/torch/scripts/buildNative.mjs \
  && npm run pack -- /packages
WORKDIR /opt/cohort
ENV COHORT_ENGINE_CACHE=/opt/cohort/engine
RUN npm init --yes \
  && npm install --ignore-scripts --no-audit --no-fund /packages/*.tgz \
  && npx cohort setup

FROM debian:trixie-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates nodejs \
    libtorch2.6 libopenblas0-openmp libdnnl3.6 \
  && rm -rf /var/lib/apt/lists/* \
  && useradd --create-home --uid 1000 cohort \
  && install --directory --owner cohort --group cohort /runs /photos
COPY --from=build /opt/cohort /opt/cohort
ENV COHORT_ENGINE_CACHE=/opt/cohort/engine \
  COHORT_ENGINE_BUILD=never \
  PATH=/opt/cohort/node_modules/.bin:$PATH
USER cohort
WORKDIR /home/cohort
VOLUME ["/photos", "/runs"]
ENTRYPOINT ["cohort"]
CMD ["--help"]
