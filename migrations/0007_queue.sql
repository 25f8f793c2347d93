-- Waiting: where a caller stood, what they heard, and how a queue's day is counted.

ALTER TABLE segment ADD COLUMN position BIGINT;     -- of a queue segment: 1 is next; NULL where nobody had to wait
ALTER TABLE segment ADD COLUMN estimate_ms BIGINT;  -- how long it would take, by what was known then

CREATE TABLE sound (
    sound TEXT NOT NULL PRIMARY KEY,
    interaction TEXT NOT NULL,
    leg TEXT NOT NULL,                              -- who heard it
    kind TEXT NOT NULL,                             -- announcement | music | closing
    clip TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    to_ms BIGINT
);
CREATE INDEX sound_interaction ON sound (interaction, from_ms);

CREATE INDEX interaction_queue ON interaction (queue, at) WHERE queue IS NOT NULL;
