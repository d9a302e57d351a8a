CREATE TABLE IF NOT EXISTS metrics (
    id INTEGER PRIMARY KEY, host VARCHAR(255) NOT NULL, metric_name VARCHAR(255) NOT NULL, value DOUBLE PRECISION NOT NULL,
    timestamp TEXT NOT NULL, created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE UNIQUE INDEX IF NOT EXISTS metrics_of_moment ON metrics (host, metric_name, timestamp);
CREATE INDEX IF NOT EXISTS metrics_by_time ON metrics (timestamp);
CREATE INDEX IF NOT EXISTS metrics_by_age ON metrics (created_at);
CREATE TABLE IF NOT EXISTS signal_events (
    id TEXT PRIMARY KEY, ts TEXT NOT NULL, host TEXT NOT NULL, service TEXT NOT NULL, fingerprint TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('info', 'warn', 'error')), metric TEXT NOT NULL, value DOUBLE PRECISION NOT NULL,
    synthetic BOOLEAN NOT NULL DEFAULT FALSE, created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX IF NOT EXISTS signal_events_by_time ON signal_events (ts);
CREATE INDEX IF NOT EXISTS signal_events_by_fingerprint ON signal_events (fingerprint, ts);
CREATE INDEX IF NOT EXISTS signal_events_by_severity ON signal_events (severity, ts);
CREATE TABLE IF NOT EXISTS signal_incidents (
    id TEXT PRIMARY KEY, host TEXT NOT NULL, ts TEXT NOT NULL, report TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);
CREATE INDEX IF NOT EXISTS signal_incidents_by_time ON signal_incidents (ts);
