"""Synthesises telephone utterances with espeak-ng and writes training shards.

  python gen_data.py vocab                       -> work/vocab.json   (tokens and phonemes of the corpus)
  python gen_data.py shards SEED COUNT SIZE      -> work/shards/SEED-*.npz
"""
import json
import os
import random
import struct
import sys
import zlib

import numpy as np
import scipy.fft
import scipy.signal as sg

import grammar as G
import tts

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ.get("DEMO_WORK", os.path.join(HERE, "work"))
# any English-only whisper.cpp model file: only its mel filters and its vocabulary are read
FORTEST = os.environ.get("WHISPER_VOCAB", os.path.join(HERE, "..", "..", "models", "ggml-demo-phone.en-q8_0.bin"))

ACCENTS = ["gmw/en-US"] * 4 + ["gmw/en"] * 3 + ["gmw/en-GB-x-rp"] * 2 + ["gmw/en-GB-scotland", "gmw/en-029",
           "gmw/en-US-nyc", "gmw/en-GB-x-gbclan"]
VARIANTS = ["", "", "+m1", "+m2", "+m3", "+m4", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+Alex", "+Alicia", "+Annie",
            "+Michael", "+belinda", "+linda", "+rob", "+paul", "+john", "+max", "+Lee", "+steph", "+Denis", "+Hugo",
            "+zac", "+edward"]
# the "core" profile: the voices and conditions that the model has to do well on (later part of the training)
CORE_ACCENTS = ["gmw/en-US", "gmw/en-US", "gmw/en", "gmw/en", "gmw/en-GB-x-rp"]
CORE_VARIANTS = ["", "", "+m3", "+m7", "+f2", "+f4"]
CORE = os.environ.get("DEMO_PROFILE") == "core"
SALAD = float(os.environ.get("DEMO_SALAD", "0.12"))  # share of loose phrase mixtures
HELD_VARIANTS = ["+m5", "+m8", "+f5", "+Andrea", "+steph2", "+Gene", "+Mike", "+david"]  # never trained on
HELD_ACCENT = "gmw/en-GB-x-gbcwmd"  # never trained on


# ---------------------------------------------------------------- tokenizer
def read_ggml_header(path=None):
    """hparams, mel filters (n_mel x n_fft) and vocabulary (list of bytes) of a whisper.cpp model file"""
    with open(path or FORTEST, "rb") as f:
        magic, *hp = struct.unpack("12i", f.read(48))
        assert magic == 0x67676D6C
        nm, nf = struct.unpack("2i", f.read(8))
        fil = np.frombuffer(f.read(4 * nm * nf), np.float32).reshape(nm, nf)
        n, = struct.unpack("i", f.read(4))
        voc = []
        for _ in range(n):
            k, = struct.unpack("i", f.read(4))
            voc.append(f.read(k))
    return hp, fil, voc


_enc = None


def bpe(s):
    global _enc
    if _enc is None:
        import tiktoken
        _, _, voc = read_ggml_header()
        _enc = tiktoken.Encoding("gpt2", mergeable_ranks={t: i for i, t in enumerate(voc[:50256])}, special_tokens={},
                                 pat_str=r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""")
    return _enc.encode(s, disallowed_special=())


def chunk_tokens(x):
    """Tokens of one chunk.  Figures are always one token per digit (they decode to the same text): far fewer classes."""
    import re
    out = []
    for p in re.findall(r" ?\d|[^\d]+?(?= ?\d|$)", x):
        out += bpe(p)
    return out


# ---------------------------------------------------------------- channel
def _ulaw_table():
    x = np.arange(-32768, 32768)
    s = x < 0
    m = np.minimum(np.where(s, -x, x), 32635) + 132
    e = np.floor(np.log2(m)).astype(int) - 7
    man = (m >> (e + 3)) & 15
    y = (((man << 3) + 132) << e) - 132
    return np.where(s, -y, y).astype(np.int16)


def _alaw_table():
    x = np.arange(-32768, 32768)
    s = x < 0
    m = np.minimum(np.where(s, -x - 1, x), 32767) >> 3
    e = np.where(m < 32, 0, np.floor(np.log2(np.maximum(m, 1))).astype(int) - 4)
    man = np.where(e == 0, m >> 1, m >> np.maximum(e, 1)) & 15
    y = np.where(e == 0, (man << 4) + 8, ((man << 4) + 264) << np.maximum(e - 1, 0))
    return np.where(s, -y, y).astype(np.int16)


ULAW, ALAW = _ulaw_table(), _alaw_table()
BANDS = [sg.butter(4, [lo, hi], "band", fs=8000, output="sos")
         for lo, hi in [(300, 3400), (300, 3400), (250, 3300), (200, 3500), (350, 3200)]]


def noise(r, n, kind, babble):
    g = np.random.default_rng(r.getrandbits(32))
    if kind == "babble" and len(babble) > 8:
        y = np.zeros(n)
        for _ in range(r.randint(2, 5)):
            b = r.choice(babble)
            y += np.resize(np.roll(b, r.randrange(len(b))), n)
        return y
    y = g.standard_normal(n)
    if kind == "pink":
        y = sg.lfilter([0.05, -0.096, 0.051, -0.0044], [1, -2.495, 2.017, -0.522], y)
    elif kind == "hum":
        t = np.arange(n) / 8000
        f = r.choice([50, 60])
        y = 0.1 * y + sum(np.sin(2 * np.pi * f * k * t + r.random() * 6) / k for k in (3, 4, 5, 6, 7, 9))
    return y


def channel8(r, x, babble, snr=None, law=None):
    """x: float speech at 8 kHz (already padded with silence) -> float after the telephone channel"""
    act = np.sqrt(np.mean(x[np.abs(x) > 0.01 * np.abs(x).max()] ** 2)) + 1e-9
    x = sg.sosfilt(r.choice(BANDS), x)
    x = x / act * 10 ** (r.uniform(-32, -14) / 20)
    lev = np.sqrt(np.mean(x ** 2)) + 1e-9
    if snr is None:
        snr = r.uniform(10, 35) if r.random() < 0.75 else r.uniform(35, 60)
    y = noise(r, len(x), r.choice(["white", "pink", "babble", "babble", "hum"]), babble)
    if r.random() < 0.5:
        y = sg.sosfilt(BANDS[0], y)
    x = x + y * (lev / (np.sqrt(np.mean(y ** 2)) + 1e-9) * 10 ** (-snr / 20))
    q = np.clip(np.round(x * 32768), -32768, 32767).astype(int)
    law = law or r.choice(["u", "u", "u", "a", "a", "none"])
    if law != "none":
        q = (ULAW if law == "u" else ALAW)[q + 32768]
    x = q.astype(np.float32) / 32768
    if r.random() < (0.1 if CORE else 0.2):
        p = r.uniform(0.01, 0.03)
        rep = r.random() < 0.5
        for i in range(160, len(x) - 160, 160):
            if r.random() < p:
                x[i:i + 160] = x[i - 160:i] if rep else 0
    return x


# ---------------------------------------------------------------- features
_fil = None
HANN = (0.5 * (1 - np.cos(2 * np.pi * np.arange(400) / 400))).astype(np.float32)


def logmel(x):
    """x: float32 at 16 kHz -> log10 mel energies (frames, 80) as whisper.cpp computes them, before clamp and scaling"""
    global _fil
    if _fil is None:
        _fil = read_ggml_header()[1].T.copy()
    n = len(x)
    y = np.concatenate([x[1:201][::-1], x, np.zeros(600, np.float32)]).astype(np.float32)
    k = n // 160 + 2
    y = np.concatenate([y, np.zeros(max(0, k * 160 + 400 - len(y)), np.float32)])
    fr = np.lib.stride_tricks.sliding_window_view(y, 400)[::160][:k]
    p = np.abs(scipy.fft.rfft(fr * HANN, axis=1)) ** 2
    return np.log10(np.maximum(p @ _fil, 1e-10)).astype(np.float32)


# ---------------------------------------------------------------- one utterance
def pick_voice(r, held=False, core=False):
    if core:
        return r.choice(CORE_ACCENTS) + r.choice(CORE_VARIANTS)
    if not held:
        return r.choice(ACCENTS) + r.choice(VARIANTS)
    if r.random() < 0.2:
        return HELD_ACCENT + r.choice(HELD_VARIANTS + ["", "+m3", "+f2"])
    return r.choice(ACCENTS) + r.choice(HELD_VARIANTS)


def render(es, r, ch, voice, rate=None, pitch=None):
    """chunks -> (float PCM at 22.05 kHz, end of speech s, chunk start times s, phoneme events (name, s))"""
    text, off = "", []
    for s, _ in ch:
        if text:
            text += " "
        off.append(len(text))
        text += s
    pcm, words, phons = es.say(text, voice, rate or r.randint(125, 195), pitch or r.randint(20, 80), r.randint(30, 70))
    sr = es.sr
    st = [None] * len(ch)
    last = -1
    for pos, smp in words:
        if pos <= last:
            continue
        last = pos
        k = int(np.searchsorted(off, pos + 1, side="right")) - 1
        if k >= 0 and st[k] is None:
            st[k] = smp / sr
    end = len(pcm) / sr
    for i in range(len(phons) - 1, -1, -1):
        if not phons[i][0].startswith("_"):
            end = (phons[i + 1][1] if i + 1 < len(phons) else len(pcm)) / sr
            break
    nxt = end
    for i in range(len(ch) - 1, -1, -1):
        if st[i] is None:
            st[i] = nxt
        nxt = st[i]
    return pcm.astype(np.float32) / 32768, min(end, len(pcm) / sr), st, [(p, s / sr) for p, s in phons]


def to8k(x, sr):
    return sg.resample_poly(x, 160, 441).astype(np.float32)


def nospeech8(r, babble):
    """silence, noise, ringback, busy, DTMF, hold-music-like tones"""
    n = int(8000 * r.uniform(1, 8))
    t = np.arange(n) / 8000
    kind = r.choice(["zero", "noise", "noise", "ring", "busy", "dtmf", "music", "click"])
    x = np.zeros(n)
    if kind == "ring":
        ph = r.uniform(0, 6)
        x = (np.sin(2 * np.pi * 440 * t) + np.sin(2 * np.pi * 480 * t)) * (((t + ph) % 6) < 2)
        if r.random() < 0.4:
            x = np.sin(2 * np.pi * 425 * t) * (((t + ph) % 5) < 1)
    elif kind == "busy":
        x = (np.sin(2 * np.pi * 480 * t) + np.sin(2 * np.pi * 620 * t)) * ((t % 1) < 0.5)
    elif kind == "dtmf":
        i = int(8000 * r.uniform(0, 0.5))
        while i < n - 2000:
            d = int(8000 * r.uniform(0.08, 0.3))
            f1, f2 = r.choice([697, 770, 852, 941]), r.choice([1209, 1336, 1477])
            tt = t[:d]
            x[i:i + d] = (np.sin(2 * np.pi * f1 * tt) + np.sin(2 * np.pi * f2 * tt))[:len(x[i:i + d])]
            i += d + int(8000 * r.uniform(0.05, 0.6))
    elif kind == "music":
        i = 0
        base = r.uniform(200, 400)
        while i < n:
            d = int(8000 * r.uniform(0.15, 0.7))
            for k in (1, r.choice([1.25, 1.2, 1.5]), r.choice([1.5, 2, 1.33])):
                f = base * 2 ** (r.randint(0, 12) / 12) * k
                seg = x[i:i + d]
                tt = np.arange(len(seg)) / 8000
                seg += (np.sin(2 * np.pi * f * tt) + 0.4 * np.sin(4 * np.pi * f * tt)) * np.exp(-tt * r.uniform(0, 5))
            i += d
    elif kind == "click":
        for _ in range(r.randint(1, 10)):
            x[r.randrange(n - 1)] = r.choice([-1, 1])
    if kind in ("zero", "noise"):
        lev = 0 if kind == "zero" else 10 ** (r.uniform(-75, -25) / 20)
        y = noise(r, n, r.choice(["white", "pink", "hum"]), babble)
        x = y / (np.sqrt(np.mean(y ** 2)) + 1e-9) * lev
    else:
        x = x / (np.abs(x).max() + 1e-9) * 10 ** (r.uniform(-30, -6) / 20)
        x = x + np.random.default_rng(r.getrandbits(32)).standard_normal(n) * 10 ** (r.uniform(-80, -45) / 20)
    q = np.clip(np.round(x * 32768), -32768, 32767).astype(int)
    return ((ULAW if r.random() < 0.6 else ALAW)[q + 32768] / 32768).astype(np.float32), kind


def item(es, r, babble, phon_id, tok_id):
    """One training example as a dict of small arrays."""
    k = r.random()
    if k < 0.04:
        x, _ = nospeech8(r, babble)
        m = logmel(sg.resample_poly(x, 2, 1).astype(np.float32))
        f = (len(m) + 1) // 2
        return dict(mel=m.astype(np.float16), tok=np.zeros(0, np.int32), span=np.zeros((0, 2), np.float32),
                    ph=np.zeros(f, np.int16), ft=np.zeros(f, np.int16), t0=0.0, t1=0.0)
    ch = G.salad(r) if k < 0.04 + SALAD else G.utterance(r)
    if CORE:
        x, end, st, ph = render(es, r, ch, pick_voice(r, core=True), r.randint(155, 185), r.randint(38, 62))
        lead, tail = (0.0 if r.random() < 0.1 else r.uniform(0.02, 0.35)), r.uniform(0.0, 0.35)
    else:
        x, end, st, ph = render(es, r, ch, pick_voice(r))
        lead, tail = (0.0 if r.random() < 0.1 else r.uniform(0.02, 0.5)), r.uniform(0.0, 0.6)
    x = x[:int((end + 0.1) * es.sr)]
    if r.random() < 0.05:  # clean wide-band
        y = sg.resample_poly(x, 320, 441).astype(np.float32) * 10 ** (r.uniform(-20, 0) / 20)
        y = np.concatenate([np.zeros(int(lead * 16000), np.float32), y, np.zeros(int(tail * 16000), np.float32)])
        y += (np.random.default_rng(r.getrandbits(32)).standard_normal(len(y)) * 10 ** (r.uniform(-90, -50) / 20))
    else:
        y = to8k(x, es.sr)
        babble.append(y)
        if len(babble) > 64:
            babble.pop(r.randrange(32))
        y = np.concatenate([np.zeros(int(lead * 8000), np.float32), y, np.zeros(int(tail * 8000), np.float32)])
        y = sg.resample_poly(channel8(r, y, babble, snr=r.uniform(20, 45) if CORE else None), 2, 1)
    m = logmel(y.astype(np.float32))
    f = (len(m) + 1) // 2
    t = np.arange(f) * 0.02 + 0.01 - lead
    pt = np.array([s for _, s in ph] + [end])
    pid = np.array([0 if p.startswith("_") else phon_id.get(p, -100) for p, _ in ph] + [0])
    lab = np.where(t < 0, 0, pid[np.clip(np.searchsorted(pt, t, "right") - 1, 0, len(pid) - 1)])
    toks, span, ft = [], [], np.zeros(f, np.int16)
    for i, (_, w) in enumerate(ch):
        s, e = st[i], (st[i + 1] if i + 1 < len(ch) else end)
        tk = chunk_tokens(w)
        n = len(tk)
        for j, q in enumerate(tk):
            a, b = s + (e - s) * j / n, s + (e - s) * (j + 1) / n
            toks.append(tok_id[q])
            span.append((a + lead, b + lead))
            ft[(t >= a) & (t < b)] = tok_id[q] + 1
    return dict(mel=m.astype(np.float16), tok=np.array(toks, np.int32), span=np.array(span, np.float32).reshape(-1, 2),
                ph=lab.astype(np.int16), ft=ft, t0=lead, t1=lead + end)


def make_vocab(n=400000):
    r = random.Random(1)
    toks = set()
    seen = {}
    for i in range(n):
        for s, w in (G.salad(r) if i % 5 == 0 else G.utterance(r)):
            if w not in seen:
                seen[w] = 1
                toks.update(chunk_tokens(w))
        if i % 10 == 0:
            for s, w in G.utterance(r, G.HELD):
                toks.update(chunk_tokens(w))
    for c in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        toks.update(bpe(c) + bpe(" " + c) + bpe("-" + c))
    es = tts.Espeak()
    ph = set()
    for a in sorted(set(ACCENTS)):
        for _ in range(400):
            es_text = G.spoken(G.utterance(r))
            ph.update(p for p, _ in es.say(es_text, a, 180)[2] if not p.startswith("_"))
    os.makedirs(WORK, exist_ok=True)
    json.dump({"text": sorted(toks), "phon": sorted(ph)}, open(os.path.join(WORK, "vocab.json"), "w"))
    print(len(toks), "tokens", len(ph), "phonemes")


def load_vocab():
    v = json.load(open(os.path.join(WORK, "vocab.json")))
    return {t: i for i, t in enumerate(v["text"])}, {p: i + 1 for i, p in enumerate(v["phon"])}, v["text"]


def pack(items, path):
    z = {}
    for k in ("mel", "tok", "span", "ph", "ft"):
        z[k] = np.concatenate([i[k] for i in items])
        z["n_" + k] = np.array([len(i[k]) for i in items], np.int32)
    z["t"] = np.array([(i["t0"], i["t1"]) for i in items], np.float32)
    np.savez(path + ".tmp.npz", **z)
    os.rename(path + ".tmp.npz", path)


def main():
    if sys.argv[1] == "vocab":
        return make_vocab()
    seed, count, size = int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    tok_id, phon_id, _ = load_vocab()
    es = tts.Espeak()
    os.makedirs(os.path.join(WORK, "shards"), exist_ok=True)
    babble = []
    for k in range(count):
        r = random.Random(zlib.crc32(b"%d-%d" % (seed, k)))
        pack([item(es, r, babble, phon_id, tok_id) for _ in range(size)],
             os.path.join(WORK, "shards", "%d-%04d.npz" % (seed, k)))


if __name__ == "__main__":
    main()
