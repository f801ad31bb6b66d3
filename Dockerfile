# The proxy alone: no development tools, no embedded PostgreSQL (give it a database.url), no demonstration.
# Run it with a read-only root file system and /data as a volume:
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     -v scimseal-data:/data -v ./config:/config:ro -p 8080:8080 -p 127.0.0.1:8081:8081 scimseal

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional --ignore-scripts

# The dashboard is made by development packages; only what they make goes on.
FROM node:24-slim AS dashboard
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY src ./src
RUN node src/dashboard/build.ts

FROM node:24-slim
WORKDIR /app
ENV NODE_ENV=production
# Inside a container loopback reaches nobody. Publish the admin port to where auditors and probes are, and nowhere else.
ENV SCIMSEAL_SCIM_LISTEN_HOST=0.0.0.0 SCIMSEAL_ADMIN_LISTEN_HOST=0.0.0.0 SCIMSEAL_DATA_DIR=/data
# What the health check asks. Set it to the https address if admin.tls is configured.
ENV HEALTH_URL=http://127.0.0.1:8081/healthz
COPY --from=packages /app/node_modules ./node_modules
COPY package.json LICENSE ./
COPY bin ./bin
COPY src ./src
COPY --from=dashboard /app/dist/dashboard ./dist/dashboard
# 1000 is the image's account `node`; by number, so that an orchestrator can see that it is not root.
RUN install -d -m 0700 -o 1000 -g 1000 /data
USER 1000:1000
VOLUME /data
EXPOSE 8080 8081
# Alive, not ready: a proxy without its database must go on answering 503, not be restarted.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["node", "-e", "fetch(process.env.HEALTH_URL).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/scimseal.js"]
CMD ["serve", "--config", "/config/scimseal.yaml"]
