# Sluice in a container: Debian 13, whose libwebsockets has the security fixes that Debian 12's lacks.
#   docker build -t sluice .
#   docker run -p 8080:8080 -v ./sluice.yaml:/etc/sluice/sluice.yaml:ro -e SLUICE_KAFKA_BROKERS=kafka:9092 sluice

FROM debian:trixie-slim AS build
COPY scripts/install-deps.sh /src/scripts/
RUN /src/scripts/install-deps.sh build && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DGW_TESTS=OFF \
    && cmake --build /build \
    && DESTDIR=/out cmake --install /build --strip

FROM debian:trixie-slim
# libwebsockets-evlib-uv is loaded at run time; nothing links to it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates librdkafka1 libwebsockets19t64 libwebsockets-evlib-uv \
       libjson-c5 libjwt2 libssl3t64 libuv1t64 libyaml-0-2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sluice \
    && install -d -o sluice /etc/sluice
COPY --from=build /out/usr /usr
USER sluice
WORKDIR /etc/sluice
EXPOSE 8080
STOPSIGNAL SIGTERM
# bash is in the image and speaks TCP by itself. Plain HTTP only: behind sluice's own TLS, let the orchestrator ask.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["bash", "-c", \
    "port=${SLUICE_LISTEN:-:8080}; exec 3<>/dev/tcp/127.0.0.1/${port##*:} && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200'* ]]"]
ENTRYPOINT ["sluice"]
CMD ["--config", "/etc/sluice/sluice.yaml"]
