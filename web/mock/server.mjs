// A stand-in for the server: docs/api.md with scripted states, for the desk's tests and for work on the desk alone.
// `node mock/server.mjs [port]`, then POST /mock/scene?name=offer_known and the like (see SCENES). Any password but "wrong".
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { WebSocketServer } from "ws";
import * as demo from "./data.mjs";

const DIST = new URL("../dist/", import.meta.url).pathname;
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript", css: "text/css", svg: "image/svg+xml" };
const SECURITY = {
  "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
};
const sound = demo.audio();

export class Mock {
  constructor() {
    this.me = demo.ME;
    this.expired = false;
    this.cursor = 100;
    this.log = [];
    this.drafts = new Map();
    this.timelineExtra = 0;
    this.fail = new Map(); // path prefix → {status, error}
    this.stage = "pending";
    this.recording = null;
    this.coverage = undefined;
    this.work = null;
    this.noCalls = false;
    this.emptyPages = 0; // of a search, before its first hit
    this.noHistory = false;
    this.offers = 0;
    this.heard = new Map(); // words of the call that is on, by leg and beginning
    this.lag = 640;
    this.noModel = false;
    this.corrections = [];
    this.revisions = 1;
    this.moreWords = 0; // utterances after those of the script
    this.redo = null;
    this.judged = new Map(); // finding → {status, text?}
    this.running = false; // the call's page is of a call that is on
    this.view = this.ready();
    this.board = demo.board(Date.now());
    this.queues = demo.queues(Date.now());
    this.http = createServer((request, response) => void this.answer(request, response));
    this.sockets = new WebSocketServer({ noServer: true });
    this.http.on("upgrade", (request, socket, head) => this.upgrade(request, socket, head));
    this.pings = setInterval(() => this.broadcast({ type: "ping", now: Date.now() }), 10_000);
  }

  listen(port = 0) {
    return new Promise((done) => this.http.listen(port, "127.0.0.1", () => done(`http://127.0.0.1:${this.http.address().port}`)));
  }

  close() {
    clearInterval(this.pings);
    for (const socket of this.sockets.clients) socket.terminate();
    this.http.closeAllConnections();
    return new Promise((done) => this.http.close(done));
  }

  ready() {
    return { agent: this.me.agent, name: this.me.name, state: "ready", reason: null, since: Date.now() - 95_000, phone_registered: true, queues: ["Billing"], notice: null, offer: null, call: null, wrap_up: null };
  }

  /** Loses every connection and refuses new ones while `down`. */
  cut(down) {
    this.down = down;
    for (const socket of this.sockets.clients) socket.terminate();
  }

  broadcast(message) {
    for (const socket of this.sockets.clients) socket.send(JSON.stringify(message));
  }

  show(part) {
    this.view = { ...this.view, ...part };
    this.broadcast({ cursor: ++this.cursor, type: "agent", ...this.view });
  }

  /** The supervisor's board and the queues, as far as they differ. */
  showBoard(part, queues = this.queues) {
    this.board = { ...this.board, ...part };
    this.queues = queues;
    this.broadcast({ cursor: ++this.cursor, type: "board", ...this.board });
    this.broadcast({ cursor: ++this.cursor, type: "queues", queues });
  }

  offer(kind) {
    const now = Date.now();
    this.offers += 1;
    this.stage = "pending";
    const offer = { offer: demo.id("0", this.offers), interaction: demo.CALL, at: now, waited_ms: 4200, queue: "Billing", ringing: false, brief: demo.BRIEFS[kind](now) };
    this.show({ ...this.ready(), state: "offered", since: now, offer });
    return offer;
  }

  gone(why, by = null) {
    const { offer } = this.view;
    this.broadcast({ cursor: ++this.cursor, type: "offer_gone", agent: this.me.agent, offer: offer.offer, why, by });
    this.show(this.ready());
  }

  answerCall(part = {}) {
    const now = Date.now();
    const brief = this.view.offer?.brief ?? demo.BRIEFS.known(now);
    this.show({ state: "busy", since: now, offer: null, wrap_up: null, call: { interaction: demo.CALL, direction: "inbound", started_at: now - 6200, answered_at: now, held_since: null, recording: true, trouble: null, trouble_since: null, sound: null, queue: "Billing", brief, ...part } });
  }

  hangUp() {
    const now = Date.now();
    const { call } = this.view;
    if (!call) return;
    this.show({ state: "wrap_up", since: now, call: null, wrap_up: { interaction: call.interaction, direction: call.direction, ended_at: now, talked_ms: now - call.answered_at, until: now + 120_000, may_extend: true, brief: call.brief } });
  }

  /** Words of a call that is on: kept for the snapshot and told to everybody. */
  words(utterances, lag = this.lag) {
    this.lag = lag;
    for (const one of utterances) this.heard.set(`${one.leg}/${one.from_ms}`, one);
    this.broadcast({ cursor: ++this.cursor, type: "words", interaction: demo.CALL, lag_ms: lag, utterances });
  }

  /** The script, as far as line `to`; the last line may be half said. */
  speak(from, to, { partial = null, lag } = {}) {
    const said = demo.liveUtterances().slice(from, to);
    if (partial !== null) said.push(demo.partly(to, partial));
    this.words(said, lag);
  }

  /** The whole script at its own pace, with partials, for work on the desk alone. */
  playScript() {
    demo.liveUtterances().forEach((one, index) => {
      for (let n = 2; n < one.words.length; n += 3) setTimeout(() => this.words([demo.partly(index, n)]), one.words[n].from_ms + 500);
      setTimeout(() => this.words([one]), one.to_ms + 900);
    });
  }

  cardArrives() {
    this.stage = "done";
    this.broadcast({ cursor: ++this.cursor, type: "changed", changes: [{ interaction: demo.CALL, customer: demo.MARIA.customer }] });
  }

  upgrade(request, socket, head) {
    if (this.down || this.expired || !/throughline=/.test(request.headers.cookie ?? "")) {
      socket.end(`HTTP/1.1 ${this.down ? 503 : 401} no\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.sockets.handleUpgrade(request, socket, head, (client) => {
      client.send(JSON.stringify({ type: "hello", epoch: 1, cursor: this.cursor, now: Date.now(), me: this.me }));
      client.send(JSON.stringify({ type: "agent", ...this.view }));
      if (this.me.role !== "agent") client.send(JSON.stringify({ type: "board", ...this.board }));
      client.send(JSON.stringify({ type: "queues", queues: this.queues }));
      client.on("message", (data) => this.command(JSON.parse(String(data))));
    });
  }

  command(message) {
    this.log.push({ at: Date.now(), ...message });
    switch (message.type) {
      case "ack": if (this.view.offer && !this.view.offer.ringing) this.show({ offer: { ...this.view.offer, ringing: true } }); break;
      case "set_state": this.show({ state: message.state, reason: message.reason, since: Date.now() }); break;
      case "decline": this.gone("declined"); break;
      case "hang_up": this.hangUp(); break;
      case "extend_wrap_up": this.show({ wrap_up: { ...this.view.wrap_up, until: this.view.wrap_up.until + 120_000, may_extend: false } }); break;
      case "finish_wrap_up": this.show(this.ready()); break;
    }
  }

  async answer(request, response) {
    const url = new URL(request.url, "http://mock");
    const path = url.pathname;
    const send = (status, value, headers = {}) => {
      const body = Buffer.isBuffer(value) ? value : value === undefined ? "" : JSON.stringify(value);
      response.writeHead(status, { ...SECURITY, "Content-Type": "application/json", ...headers });
      response.end(body);
    };
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : {};
    if (path.startsWith("/mock/")) return this.script(url, send);
    if (!path.startsWith("/api/")) return this.file(path, send);
    this.log.push({ at: Date.now(), type: "http", method: request.method, path: path + url.search, body });
    if (request.method !== "GET" && request.headers["x-throughline"] !== "1") return send(403, { error: "The header X-Throughline is missing.", code: "csrf" });
    if (path === "/api/login") {
      if (body.password === "wrong") return send(401, { error: "Unknown user or wrong password.", code: "unauthorised" });
      this.me = body.username === "sofia" ? demo.BOSS : demo.ME;
      this.expired = false;
      this.view = { ...this.view, agent: this.me.agent, name: this.me.name };
      return send(200, this.me, { "Set-Cookie": "throughline=mock; HttpOnly; SameSite=Strict; Path=/" });
    }
    if (this.expired || !/throughline=/.test(request.headers.cookie ?? "")) return send(401, { error: "Log in first.", code: "unauthorised" });
    for (const [prefix, failure] of this.fail) if (path.startsWith(prefix)) return send(failure.status, { error: failure.error, code: "failed" });
    return this.api(request, url, body, send);
  }

  api(request, url, body, send) {
    const path = url.pathname;
    const now = Date.now();
    const { method } = request;
    const [, , noun, which, verb] = path.split("/");
    if (path === "/api/me") return send(200, this.me);
    if (path === "/api/logout") return send(204, undefined, { "Set-Cookie": "throughline=; Max-Age=0; Path=/" });
    if (path === "/api/dispositions") return send(200, demo.DISPOSITIONS);
    if (verb === "timeline") return send(200, this.page(url, this.noHistory ? [] : noun === "identities" ? demo.strangerTimeline(now) : demo.timeline(now, this.timelineExtra)));
    if (noun === "customers") return send(200, demo.customerPage(now));
    if (noun === "work-items" && method === "GET") return send(200, this.work ?? demo.workItems(now));
    if (noun === "work-items") return send(200, { ...demo.workItems(now).find((item) => item.work_item === which), state: verb === "close" ? "done" : "accepted", owner: this.me.name });
    if (noun === "calls") return send(200, this.calls(url, now));
    if (noun === "speech") return send(200, { models: [{ name: "demo-phone.en", usual: true }, { name: "large-v3-turbo", usual: false }], trouble: null });
    if (noun === "findings") {
      this.judged.set(which, body);
      return send(204);
    }
    if (noun !== "interactions") return send(404, { error: "Not here.", code: "not_found" });
    if (verb === "words") return send(200, this.transcript(now, Number(url.searchParams.get("revision") ?? this.revisions)));
    if (verb === "corrections") return this.correct(path.split("/")[5], body, now, send);
    if (verb === "transcribe") {
      this.redo = { state: "waiting", model: body.model, trouble: null };
      return send(202, { state: "waiting" });
    }
    if (verb === "live-words") return send(200, { utterances: [...this.heard.values()].sort((a, b) => a.from_ms - b.from_ms), lag_ms: this.lag, trouble: this.noModel ? "No speech model. Admin: throughline model fetch." : null });
    if (verb === "audio.wav") return this.wav(request, send);
    if (verb === "peaks") return send(200, sound.peaks);
    if (verb === "draft") return this.draft(which, body, send);
    if (verb === "notes") return send(200, { note: demo.id("f", 99), text: body.text, by: this.me.name, at: now });
    if (verb === "customer") return this.choose(body, now, send);
    if (verb === "wrap-up") {
      send(204);
      this.show(this.ready());
      return undefined;
    }
    const stage = which === demo.CALL && this.view.call === null && this.view.wrap_up === null ? "done" : which === demo.CALL ? this.stage : "done";
    const page = demo.interactionPage(which, now, { stage, trouble: this.recording, coverage: this.coverage, words: { revision: this.revisions, revisions: this.revisions, corrections: this.corrections, redo: this.redo, extra: this.moreWords } });
    if (this.takenOut) demo.takeOut(page);
    const open = this.running ? { state: "open", ended_at: null, duration_ms: null, recording: { state: "open", trouble: null, duration_ms: null, gaps: [] }, transcript: { ...page.transcript, state: "none", utterances: [], legs: [] }, card: null, quality: { spans: [], legs: [] }, notes: [] } : {};
    return send(200, { ...page, card: this.card(page.card), ...open, draft: this.drafts.get(which) ?? null });
  }

  transcript(now, revision = this.revisions) {
    return demo.transcript(now, { revision, revisions: this.revisions, corrections: this.corrections, redo: this.redo, extra: this.moreWords, ...(this.coverage ? { coverage: this.coverage } : {}) });
  }

  correct(undoes, body, now, send) {
    if (undoes) {
      const first = this.corrections.find((one) => one.correction === undoes);
      this.corrections.push({ ...first, correction: demo.id("7", this.corrections.length + 1), before: first.after, after: first.before, undoes, at: now });
      return send(200, first);
    }
    const there = demo.wordsAt(this.transcript(now).utterances, body);
    if (there !== body.before) return send(409, { error: "Somebody else changed this meanwhile. Both texts are kept.", code: "conflict", current: { text: there, correction: this.corrections.at(-1) ?? null } });
    const made = { correction: demo.id("7", this.corrections.length + 1), leg: body.leg, from_ms: body.from_ms, to_ms: body.to_ms, before: body.before, after: body.after, by: this.me.name, at: now, state: "stands" };
    this.corrections.push(made);
    return send(200, made);
  }

  /** Somebody else puts a word right: the third word of the fifth line. */
  otherCorrects(after) {
    const { leg, words } = demo.utterances()[4];
    this.corrections.push({ correction: demo.id("7", this.corrections.length + 1), leg, from_ms: words[3].from_ms, to_ms: words[3].to_ms, before: words[3].text, after, by: "Tom Weber", at: Date.now() - 120_000, state: "stands" });
  }

  /** Lines of the card as people judged them. */
  card(card) {
    return card && { ...card, lines: card.lines.map((line) => {
      const said = this.judged.get(line.finding);
      if (!said) return line;
      const by = { judged_by: "Tom Weber", judged_at: Date.now() - 120_000 };
      return said.status === "edited" ? { ...line, ...by, status: "edited", text: said.text, proposed: line.text } : { ...line, ...by, status: said.status };
    }) };
  }

  page(url, all) {
    const from = Number(url.searchParams.get("before") ?? 0);
    const limit = Number(url.searchParams.get("limit") ?? 50);
    return { entries: all.slice(from, from + limit), next: from + limit < all.length ? String(from + limit) : null };
  }

  calls(url, now) {
    const q = (url.searchParams.get("q") ?? "").toLowerCase();
    const from = Number(url.searchParams.get("from") ?? 0);
    const to = Number(url.searchParams.get("to") ?? Number.MAX_SAFE_INTEGER);
    const heard = q.length < 3 ? undefined : demo.liveUtterances().find((one) => one.words.map((word) => word.text).join(" ").toLowerCase().includes(q));
    const said = heard && { party: heard.party, from_ms: heard.words.find((word) => word.text.toLowerCase().startsWith(q.split(" ")[0]))?.from_ms ?? heard.from_ms, text: heard.words.slice(Math.max(0, heard.words.findIndex((word) => word.text.toLowerCase().startsWith(q.split(" ")[0])) - 3)).map((word) => word.text).join(" ") };
    const rows = this.noCalls ? [] : demo.callRows(now).map((row) => ({ ...row, said: row.interaction === demo.CALL ? (said ?? null) : null }))
      .filter((row) => row.at >= from && row.at < to && (row.said || JSON.stringify(row).toLowerCase().includes(q)));
    // Far back: pages on which nothing fits come first.
    const before = url.searchParams.get("before");
    const far = before === null ? this.emptyPages : Number(/^far(\d+)$/.exec(before)?.[1] ?? 0);
    if (q !== "" && far > 0) return { calls: [], next: far > 1 ? `far${far - 1}` : "0" };
    const start = Number(url.searchParams.get("before") ?? 0);
    return { calls: rows.slice(start, start + 25), next: start + 25 < rows.length ? String(start + 25) : null };
  }

  draft(which, { text, version }, send) {
    const current = this.drafts.get(which) ?? { text: "", version: 0 };
    if (version !== current.version) return send(409, { error: "Changed meanwhile.", code: "conflict", current });
    this.drafts.set(which, { text, version: version + 1 });
    return send(200, { version: version + 1 });
  }

  choose(body, now, send) {
    const known = demo.BRIEFS.known(now);
    const brief = body.name ? { ...demo.BRIEFS.unknown(now), matched: "known", customer: { ...demo.MARIA, customer: demo.id("c", 40), name: body.name, organisation: null, vip: false, language: null, since: now } }
      : body.customer ? known : { ...demo.BRIEFS.unknown(now), last_contacts: [] };
    send(200, brief);
    for (const slot of ["offer", "call", "wrap_up"]) if (this.view[slot]) this.show({ [slot]: { ...this.view[slot], brief } });
  }

  wav(request, send) {
    const range = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? "");
    const total = sound.wav.length;
    if (!range) return send(200, sound.wav, { "Content-Type": "audio/wav", "Accept-Ranges": "bytes", "Content-Length": total });
    const from = Number(range[1]);
    const to = Math.min(total - 1, range[2] === "" ? total - 1 : Number(range[2]));
    return send(206, sound.wav.subarray(from, to + 1), { "Content-Type": "audio/wav", "Accept-Ranges": "bytes", "Content-Range": `bytes ${from}-${to}/${total}`, "Content-Length": to + 1 - from });
  }

  async file(path, send) {
    const name = path === "/" ? "index.html" : path.slice(1);
    if (!/^[a-z.]+$/.test(name)) return send(404, { error: "Not here.", code: "not_found" });
    const data = await readFile(DIST + name).catch(() => null);
    return data ? send(200, data, { "Content-Type": TYPES[name.split(".").pop()] }) : send(404, { error: "Not here.", code: "not_found" });
  }

  script(url, send) {
    const name = url.searchParams.get("name") ?? "";
    const scenes = {
      ready: () => this.show(this.ready()), call: () => this.answerCall(), words: () => this.playScript(), hold: () => this.show({ call: { ...this.view.call, held_since: Date.now() } }), hang_up: () => this.hangUp(), card: () => this.cardArrives(),
      trouble: () => this.answerCall({ trouble: "No sound from the customer, but they are there: perhaps muted. Ask, or call back.", trouble_since: Date.now() - 6000, recording: false }), poor: () => this.answerCall({ sound: { mos_x100: 320, text: "Customer hard to hear: 12 % lost" } }), no_phone: () => this.show({ ...this.ready(), phone_registered: false }),
      stopping: () => this.show({ notice: "The server restarts once the running calls are over. They go on; no new ones come." }),
      not_ready: () => this.show({ ...this.ready(), state: "not_ready", reason: "Lunch" }), gone: () => this.gone("answered_elsewhere", "Tom Weber"), expire: () => { this.expired = true; this.cut(false); },
    };
    if (name.startsWith("offer_")) this.offer(name.slice(6));
    else if (scenes[name]) scenes[name]();
    else return send(404, { error: `Scenes: ${Object.keys(scenes).join(" ")} ${Object.keys(demo.BRIEFS).map((kind) => `offer_${kind}`).join(" ")}` });
    return send(200, { scene: name });
  }
}

if (process.argv[1] && import.meta.url.endsWith(process.argv[1].split("/").pop())) {
  const mock = new Mock();
  console.log(await mock.listen(Number(process.argv[2] ?? 8099)));
}
