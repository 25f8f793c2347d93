-- How each leg of a call sounded, a row per leg and 5 s. The key is the leg and the place on the call's axis, so that a
-- journal that is read again changes nothing. Both directions: what came from the peer, and what it reported of ours.

CREATE TABLE leg_quality (
    leg TEXT NOT NULL,
    to_ms BIGINT NOT NULL,
    interval_ms BIGINT NOT NULL,
    received BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    bursts BIGINT NOT NULL,
    jitter_us BIGINT NOT NULL,
    round_trip_us BIGINT,
    silent_ms BIGINT NOT NULL,                  -- since when nothing had come though it was due
    peer_alive BIGINT NOT NULL,
    mos_x100 BIGINT,                            -- 100…450; NULL where nothing came
    sent BIGINT NOT NULL,
    there_lost_permille BIGINT,                 -- NULL where the peer reported nothing
    there_jitter_us BIGINT,
    there_mos_x100 BIGINT,
    there_deaf BIGINT,
    PRIMARY KEY (leg, to_ms)
);

ALTER TABLE interaction ADD COLUMN poor_ms BIGINT NOT NULL DEFAULT 0; -- leg time with poor or missing sound
