CREATE TABLE IF NOT EXISTS incidents (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, unfinished BIGINT NOT NULL, record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS incidents_unfinished ON incidents (unfinished, id);
CREATE TABLE IF NOT EXISTS journal (
    seq BIGINT PRIMARY KEY, incident TEXT, entry TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_incident ON journal (incident, seq);
CREATE TABLE IF NOT EXISTS outcomes (
    incident TEXT NOT NULL, attempt BIGINT NOT NULL, remedy TEXT NOT NULL, kind TEXT NOT NULL, service TEXT NOT NULL,
    verified BIGINT NOT NULL, PRIMARY KEY (incident, attempt)
);
CREATE TABLE IF NOT EXISTS lessons (
    incident TEXT PRIMARY KEY, embedder TEXT NOT NULL, lesson TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS owner (
    id BIGINT PRIMARY KEY, epoch BIGINT NOT NULL
);
