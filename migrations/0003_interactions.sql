-- Contacts, and what happened in them. Rows come from a journal that must never stop at a row that another one
-- refers to and that was lost: these tables hold no foreign keys.

CREATE TABLE thread (
    thread TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    external_key TEXT NOT NULL,                 -- root Message-ID, chat id, …
    subject TEXT,
    identity TEXT,
    created_at BIGINT NOT NULL,
    UNIQUE (channel, external_key)
);

CREATE TABLE interaction (
    interaction TEXT NOT NULL PRIMARY KEY,
    channel TEXT NOT NULL,
    direction TEXT NOT NULL,
    state TEXT NOT NULL,                        -- open | ended | closed
    at BIGINT NOT NULL,
    ended_at BIGINT,
    closed_at BIGINT,
    identity TEXT,
    customer TEXT,
    customer_choice TEXT,                       -- sole | chosen | by_ear | unknown; NULL before the look-up answered
    caller_raw TEXT,
    number TEXT,                                -- E.164
    display_name TEXT,
    called TEXT,
    via TEXT,
    queue TEXT,
    thread TEXT,
    cause TEXT,
    answered_by TEXT,
    answered_ms BIGINT,                         -- first talk, on the axis
    talked_ms BIGINT,
    title TEXT,
    title_by TEXT,                              -- method or agent
    outcome TEXT,
    disposition TEXT,
    wrapped_up BIGINT,                          -- NULL before wrap-up, 0 when time ran out
    awaiting_reply BIGINT NOT NULL DEFAULT 0,   -- 1: a message that nobody has answered
    sentiment BIGINT,                           -- -100…100
    recorded BIGINT NOT NULL DEFAULT 0,
    transcript_state TEXT NOT NULL DEFAULT 'none',  -- none | pending | done | failed
    transcript_trouble TEXT,
    coverage BIGINT,                            -- percent of voiced audio that has words
    keep_until BIGINT,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX interaction_customer ON interaction (customer, at, interaction);
CREATE INDEX interaction_identity ON interaction (identity, at, interaction);
CREATE INDEX interaction_at ON interaction (channel, at, interaction);
CREATE INDEX interaction_open ON interaction (state, at) WHERE state <> 'closed';
CREATE INDEX interaction_awaiting ON interaction (customer, at) WHERE awaiting_reply = 1;
CREATE INDEX interaction_awaiting_identity ON interaction (identity, at) WHERE awaiting_reply = 1;
CREATE INDEX interaction_sentiment ON interaction (customer, at) WHERE sentiment IS NOT NULL;
CREATE INDEX interaction_thread ON interaction (thread) WHERE thread IS NOT NULL;

CREATE TABLE leg (
    leg TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    party TEXT NOT NULL,
    agent TEXT,
    sip_call_id TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT,
    cause TEXT,
    sip_status BIGINT,
    received BIGINT,
    sent BIGINT,
    lost BIGINT,
    dropped BIGINT,
    jitter_us BIGINT,
    tap_dropped BIGINT
);
CREATE INDEX leg_interaction ON leg (interaction, from_ms);

CREATE TABLE segment (
    segment TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    leg TEXT,
    agent TEXT,
    kind TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT
);
CREATE INDEX segment_interaction ON segment (interaction, from_ms);

CREATE TABLE offer (
    offer TEXT NOT NULL PRIMARY KEY,
    work_item TEXT,
    interaction TEXT NOT NULL,
    agent TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    outcome TEXT,
    acked_ms BIGINT,
    rang_ms BIGINT,
    lead_ms BIGINT,                             -- ring minus rendered
    ended_ms BIGINT
);
CREATE INDEX offer_interaction ON offer (interaction, at_ms);

CREATE TABLE message (
    seq BIGINT NOT NULL PRIMARY KEY,
    message TEXT NOT NULL UNIQUE,
    interaction TEXT NOT NULL,
    thread TEXT,
    identity TEXT,
    channel TEXT NOT NULL,
    direction TEXT NOT NULL,
    external_id TEXT,                           -- Message-ID and the like
    agent TEXT,
    at BIGINT NOT NULL,
    subject TEXT,
    body TEXT NOT NULL,                         -- plain text
    UNIQUE (channel, external_id)
);
CREATE INDEX message_interaction ON message (interaction, seq);

CREATE TABLE recording (
    recording TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    leg TEXT NOT NULL,
    codec TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT,
    lost_ms BIGINT,
    paused_ms BIGINT,
    trouble TEXT
);
CREATE INDEX recording_interaction ON recording (interaction, from_ms);
