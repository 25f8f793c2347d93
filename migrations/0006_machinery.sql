-- Numbers, events, jobs, audit, the journal's mark.

-- The one sequencer: its row stays locked until the writer commits, so numbers appear in the order of commits.
CREATE TABLE sequencer (
    name TEXT NOT NULL PRIMARY KEY,
    last BIGINT NOT NULL
);

-- The outbox: ids and small facts, no names, no words.
CREATE TABLE event (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    interaction TEXT,
    customer TEXT,
    agent TEXT,
    data TEXT                                   -- JSON
);

CREATE TABLE job (
    job TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,                        -- waiting | running | done | parked
    attempts BIGINT NOT NULL DEFAULT 0,
    run_after BIGINT NOT NULL,
    lease BIGINT NOT NULL DEFAULT 0,            -- counts claims: a worker that lost its lease changes nothing
    leased_until BIGINT,
    trouble TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    UNIQUE (kind, subject)
);
CREATE INDEX job_waiting ON job (kind, run_after, job) WHERE state = 'waiting' OR state = 'running';

CREATE TABLE audit (
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    agent TEXT,
    action TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT
);
CREATE INDEX audit_subject ON audit (subject, seq);
CREATE INDEX audit_agent ON audit (agent, seq);

-- How far the journal has been applied; written in the transaction that applied it.
CREATE TABLE spool_mark (
    spool TEXT NOT NULL PRIMARY KEY,
    segment BIGINT NOT NULL,
    place BIGINT NOT NULL
);
