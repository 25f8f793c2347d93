// Several queues as one: who waits, and what the day was like. Pure.
import type { QueueView, UnixMs } from "../types.ts";

export interface Together {
  waiting: number; /** what one more caller would wait, the longest of them; null where nobody waits or nobody is there */ estimateMs: number | null; longestSince: UnixMs | null; longestTodayMs: number; abandoned: number; abandonedShort: number; turnedAway: number;
  /** Answered in time of all that ended but for short abandons, percent; null before the first. */
  level: number | null;
  /** The strictest target of those queues. */
  target: number;
}

export function together(queues: QueueView[]): Together {
  const sum = (pick: (queue: QueueView) => number) => queues.reduce((total, queue) => total + pick(queue), 0);
  const since = queues.flatMap((queue) => (queue.longest_since === null ? [] : [queue.longest_since]));
  const waits = queues.flatMap((queue) => (queue.estimate_ms === null ? [] : [queue.estimate_ms]));
  const ended = sum((queue) => queue.answered + queue.abandoned + queue.turned_away);
  return {
    waiting: sum((queue) => queue.waiting),
    estimateMs: waits.length > 0 ? Math.max(...waits) : null,
    longestSince: since.length > 0 ? Math.min(...since) : null,
    longestTodayMs: Math.max(0, ...queues.map((queue) => queue.longest_ms)),
    abandoned: sum((queue) => queue.abandoned), abandonedShort: sum((queue) => queue.abandoned_short), turnedAway: sum((queue) => queue.turned_away),
    level: ended > 0 ? Math.round((sum((queue) => queue.answered_in_time) / ended) * 100) : null,
    target: Math.max(0, ...queues.map((queue) => queue.target)),
  };
}
