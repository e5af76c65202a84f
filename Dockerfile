FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PATH=/opt/venv/bin:$PATH
RUN python -m venv /opt/venv
COPY requirements.txt .
COPY trading/engine/requirements.txt engine.txt
RUN pip install -r requirements.txt -r engine.txt
WORKDIR /app
COPY . .
# The folder must be there before: by it the settings know that files are to be hashed
# and compressed. The secrets are thrown away with the .env that holds them.
RUN mkdir staticfiles \
    && python -m tradebot.dotenv \
    && python manage.py collectstatic --no-input \
    && rm .env

FROM python:3.11-slim
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tradebot
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    BIND=0.0.0.0:8000
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
WORKDIR /app
USER 10001:10001
EXPOSE 8000
# Without a proxy, whatever the environment names: this request stays in the container.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD \
    ["python", "-c", "from urllib.request import ProxyHandler, build_opener; build_opener(ProxyHandler({})).open('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["/app/tradebot/entrypoint.sh"]
