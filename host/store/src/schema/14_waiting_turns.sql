-- Whether a handler waited after a commit of a worker: its heap has a promise that nobody would settle in a copy. Of the commits of before,
-- those are known in which the handler waits that waits now; of a handler that is over by now it was not kept.
ALTER TABLE worker_turns ADD COLUMN is_waiting BIGINT NOT NULL DEFAULT 0;
UPDATE worker_turns SET is_waiting = 1 WHERE EXISTS (SELECT 1 FROM workers w WHERE w.tenant = worker_turns.tenant
    AND w.id = worker_turns.worker AND w.is_waiting = 1 AND worker_turns.turn > COALESCE(w.restorable_turn, 0));
