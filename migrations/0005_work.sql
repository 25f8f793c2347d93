-- What contacts are about, and what somebody must do.

CREATE TABLE ticket (
    ticket TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL UNIQUE,
    subject TEXT NOT NULL,
    subject_by TEXT,                            -- NULL: taken from the first contact, replaced by a better title
    state TEXT NOT NULL,                        -- open_us | open_customer | solved
    customer TEXT,
    identity TEXT,
    queue TEXT,
    opened_by TEXT,                             -- the interaction that opened it
    opened_at BIGINT NOT NULL,
    touched_at BIGINT NOT NULL,                 -- last contact
    we_wrote_at BIGINT,
    solved_at BIGINT,
    version BIGINT NOT NULL DEFAULT 1
);
CREATE INDEX ticket_customer ON ticket (customer, touched_at) WHERE state <> 'solved';
CREATE INDEX ticket_identity ON ticket (identity, touched_at) WHERE state <> 'solved';
CREATE INDEX ticket_opened_by ON ticket (opened_by);
CREATE INDEX ticket_all_customer ON ticket (customer, touched_at);

CREATE TABLE ticket_interaction (
    ticket TEXT NOT NULL,
    interaction TEXT NOT NULL,
    role TEXT NOT NULL,                         -- primary | also
    by_agent TEXT,
    why TEXT NOT NULL,
    confidence BIGINT NOT NULL,
    at BIGINT NOT NULL,                         -- the interaction's beginning
    removed_at BIGINT,
    PRIMARY KEY (ticket, interaction)
);
CREATE UNIQUE INDEX ticket_interaction_primary ON ticket_interaction (interaction) WHERE role = 'primary' AND removed_at IS NULL;
CREATE INDEX ticket_interaction_at ON ticket_interaction (ticket, at);

CREATE TABLE work_item (
    work_item TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,                       -- what it came from; unique together with the kind
    state TEXT NOT NULL,                        -- waiting | offered | accepted | done
    title TEXT,
    interaction TEXT,
    customer TEXT,
    identity TEXT,
    ticket TEXT,
    channel TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority BIGINT NOT NULL,
    skills TEXT NOT NULL DEFAULT '',
    due BIGINT,
    opened_at BIGINT NOT NULL,
    owner TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    done_at BIGINT,
    done_by TEXT,
    why_closed TEXT,
    version BIGINT NOT NULL DEFAULT 1,
    UNIQUE (kind, source)
);
CREATE INDEX work_item_owner ON work_item (owner, due, work_item) WHERE state <> 'done';
CREATE INDEX work_item_due ON work_item (due, work_item) WHERE state <> 'done';
CREATE INDEX work_item_customer ON work_item (customer, kind, due) WHERE state <> 'done';
CREATE INDEX work_item_identity ON work_item (identity);
CREATE INDEX work_item_interaction ON work_item (interaction);
