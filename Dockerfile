# Packs what is published to npm, and installs it as a user would.
FROM node:24-bookworm-slim AS build
WORKDIR /build
COPY . .
RUN npm ci --no-audit --no-fund
RUN npx nx run-many -t build -p 'packages/*'
RUN mkdir tarballs && npm pack --silent --pack-destination tarballs ./packages/*
RUN npm install --global --prefix /build/installed --no-audit --no-fund ./tarballs/*.tgz

FROM node:24-bookworm-slim
COPY --from=build /build/installed /opt/metasrv
ENV PATH=/opt/metasrv/bin:$PATH
# Reachable from outside of the container. It wins over the config file; --bind-addr wins over it.
ENV METASRV_BIND_ADDR=0.0.0.0:3002
# The user "node" of the base image, as a number, so that Kubernetes can see that it is not root.
USER 1000:1000
EXPOSE 3002
# Whether the process serves, not whether it is ready: it must not be restarted because etcd is away.
HEALTHCHECK --interval=10s --timeout=6s --start-period=10s CMD ["metasrv", "health"]
ENTRYPOINT ["metasrv"]
CMD ["start"]
