// When the list of own work is read again, in simulated time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Refresher, type Ticks } from "../src/words/refresher.ts";

/** Timers that run when the test says so. */
class Simulated implements Ticks {
  at = 0;
  timers: { at: number; run: () => void }[] = [];
  now = () => this.at;
  set = (run: () => void, ms: number) => {
    const timer = { at: this.at + ms, run };
    this.timers.push(timer);
    return timer;
  };
  clear = (timer: unknown) => { this.timers = this.timers.filter((one) => one !== timer); };
  random = () => 0;
  async advance(to: number) {
    for (;;) {
      const next = this.timers.filter((one) => one.at <= to).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.clear(next);
      this.at = next.at;
      next.run();
      await Promise.resolve();
      await Promise.resolve();
    }
    this.at = to;
  }
}

function reader() {
  const time = new Simulated();
  const reads: number[] = [];
  const refresher = new Refresher(async () => { reads.push(time.at); }, time);
  return { time, reads, refresher };
}

test("twenty changes a second of others are read seldom, and ever more so", async () => {
  const { time, reads, refresher } = reader();
  for (let at = 0; at < 60_000; at += 50) {
    await time.advance(at);
    refresher.others();
  }
  assert.ok(reads.length >= 5 && reads.length <= 12, reads.join(", "));
  for (let n = 1; n < reads.length; n += 1) assert.ok((reads[n] as number) - (reads[n - 1] as number) >= 1000, reads.join(", "));
  assert.ok((reads.at(-1) as number) - (reads.at(-2) as number) >= 8000);
  await time.advance(120_000);
  const after = reads.length;
  refresher.others();
  await time.advance(121_100);
  assert.equal(reads.length, after + 1, "a floor that is quiet again is read at once");
});

test("the last change of a burst is never lost", async () => {
  const { time, reads, refresher } = reader();
  for (const at of [0, 10, 990]) {
    await time.advance(at);
    refresher.others();
  }
  await time.advance(1000);
  refresher.others();
  await time.advance(30_000);
  assert.deepEqual(reads, [1000, 2000 + 1000]);
});

test("what is the agent's own is read soon, whatever others wait for", async () => {
  const { time, reads, refresher } = reader();
  for (let at = 0; at < 30_000; at += 50) {
    await time.advance(at);
    refresher.others();
  }
  const before = reads.length;
  refresher.own();
  await time.advance(30_110);
  assert.equal(reads.length, before + 1);
  for (let at = 30_120; at < 31_120; at += 20) {
    await time.advance(at);
    refresher.own();
  }
  assert.ok(reads.length - before <= 6, "own changes that belong together are read together");
});

test("while one reading is under way no other begins, and what changed meanwhile is read after it", async () => {
  const time = new Simulated();
  let done = () => {};
  let reads = 0;
  const refresher = new Refresher(() => new Promise<void>((finish) => { reads += 1; done = finish; }), time);
  refresher.now();
  await time.advance(0);
  refresher.own();
  await time.advance(5000);
  assert.equal(reads, 1);
  done();
  await new Promise((next) => setImmediate(next));
  await time.advance(6000);
  assert.equal(reads, 2);
});
