-- A binding over a connection does not outlive the process that the connection was with.
ALTER TABLE binding ADD COLUMN transport TEXT NOT NULL DEFAULT 'udp';
