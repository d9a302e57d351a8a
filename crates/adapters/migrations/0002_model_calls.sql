CREATE TABLE IF NOT EXISTS model_calls (
    call TEXT PRIMARY KEY, incident TEXT NOT NULL, day BIGINT NOT NULL, tokens BIGINT NOT NULL, micro_usd BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS model_calls_by_day ON model_calls (day);
CREATE INDEX IF NOT EXISTS model_calls_by_incident ON model_calls (incident);
