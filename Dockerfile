# The image of one function: docker build --build-arg FUNCTION=provision --tag odoo-fleet/provision .
#
#   FUNCTION   a folder of functions/
#   BASE       Node 24 on a Debian of your choice. Pin it by its digest for production:
#              --build-arg BASE=docker.io/library/node:24-slim@sha256:...  (skaffold's profile prod insists on one)
#
# Targets: function (the last one, the default) · worker, of the Jobs for backups, with PostgreSQL's client and zstd ·
# migrate, the migration Job's (both take no FUNCTION) · dev, which runs the sources and starts anew when one changes.
ARG BASE=docker.io/library/node:24-slim

FROM ${BASE} AS dependencies
# where packages come from, when not from npm's own registry
ARG npm_config_registry
WORKDIR /fleet/src
COPY package.json package-lock.json .npmrc ./
# no lifecycle scripts: nothing that is needed here has one. `npm ci` would refuse a lock file that was written where some
# optional packages for other platforms could not be had.
RUN npm install --omit=dev --no-save --ignore-scripts --no-audit --no-fund --loglevel=error

FROM dependencies AS sources
ARG npm_config_registry
# The bundler is the only tool, at the version of package.json. In the folder above, where Node looks next: npm leaves out
# what package.json lists for development.
RUN npm install --prefix /fleet --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
      "esbuild@$(node --print 'require("./package.json").devDependencies.esbuild')"
COPY events events
COPY functions functions
COPY shared shared
COPY scripts scripts

FROM sources AS build
ARG FUNCTION
# Also runs the function once, on the very Node it will run on: what V8 compiles is kept beside it. Fails when it is too large.
RUN node scripts/build/main.ts "${FUNCTION:?say --build-arg FUNCTION=<a folder of functions/>}" --folder /out

FROM dependencies AS dev
COPY --chown=10001:10001 events events
COPY --chown=10001:10001 functions functions
COPY --chown=10001:10001 shared shared
ARG FUNCTION
ENV NODE_ENV=development PORT=8080 FUNCTION=${FUNCTION}
USER 10001:10001
EXPOSE 8080
# as the functions' own image does, but from the sources; synchronised files start it anew
ENTRYPOINT ["/bin/sh", "-c", "exec node --watch --watch-preserve-output functions/$FUNCTION/main.ts"]

# The Job that brings the platform's database up to date: docker build --target migrate --tag odoo-fleet/migrate .
FROM sources AS build-migrate
ARG npm_config_registry
RUN npm install --prefix /fleet --no-save --ignore-scripts --no-audit --no-fund --loglevel=error \
      "node-pg-migrate@$(node --print 'require("./package.json").devDependencies["node-pg-migrate"]')" \
      "esbuild@$(node --print 'require("./package.json").devDependencies.esbuild')"
RUN node scripts/build/main.ts migrate --folder /out

FROM ${BASE} AS migrate
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build-migrate /out/migrate ./
USER 10001:10001
ENTRYPOINT ["node", "main.js"]

# The Jobs that make and verify backups, and the platform's own backup (/app/platform): docker build --target worker --tag odoo-fleet/worker .
FROM sources AS build-worker
RUN node scripts/build/main.ts worker --folder /out

FROM ${BASE} AS worker
# The major version of pg_dump and pg_restore, which must be that of the newest Odoo server, or newer. Empty: what Debian
# has (15 in bookworm, 17 in trixie); a number is taken from PostgreSQL's own packages at apt.postgresql.org.
ARG POSTGRES_MAJOR=
RUN apt-get update -q \
 && if [ -n "$POSTGRES_MAJOR" ]; then \
      apt-get install -y -q --no-install-recommends postgresql-common ca-certificates \
      && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y; \
    fi \
 && apt-get install -y -q --no-install-recommends "postgresql-client${POSTGRES_MAJOR:+-$POSTGRES_MAJOR}" zstd \
 && rm -rf /var/lib/apt/lists/* \
 && pg_dump --version && zstd --version
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build-worker /out/worker ./
USER 10001:10001
# its one argument is the file with the order
ENTRYPOINT ["node", "/app/main.js"]

FROM ${BASE} AS function
ARG FUNCTION
ENV NODE_ENV=production PORT=8080
WORKDIR /app
# owned by root, readable by all: the function cannot change what it runs
COPY --from=build /out/${FUNCTION} ./
# a number, so that Kubernetes can see that it is not root
USER 10001:10001
EXPOSE 8080
# for hosts without probes of their own; Kubernetes ignores it
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "--eval", "require('node:http').get({ port: process.env.PORT, path: '/healthz' }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# not under npm, which swallows signals: the function drains on SIGTERM
ENTRYPOINT ["node"]
CMD ["main.js"]
