#!/usr/bin/env python3
"""Makes sounds/*.wav, the words that come with Throughline, with eSpeak NG: 8 kHz, 16 bit, mono.

Needs Python 3.9 and libespeak-ng 1.51 or newer, from the system or from `pip install espeakng-loader`.
Run it from the project's folder: python3 scripts/sounds.py
"""
import array
import ctypes
import math
import wave

TEXTS = {
    "announcement": "All our colleagues are in a call. Your place is kept. Please stay on the line.",
    "closing": "We are sorry that nobody could take your call. We have your number, and we will call you back.",
    "place-1": "You are next.",
    "place-more": "There are more than ten callers before you.",
}
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
TEXTS |= {f"place-{n}": f"You are number {word}." for n, word in enumerate(NUMBERS, 2)}
VOICE, WORDS_PER_MINUTE, PITCH = "en", 150, 42
PEAK, RATE, HALF = 12000, 8000, 24


def library():
    try:
        return ctypes.CDLL("libespeak-ng.so.1"), None
    except OSError:
        import espeakng_loader
        return ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path().encode()


def speak(texts):
    lib, data = library()
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    rate = lib.espeak_Initialize(2, 0, data, 0)
    assert rate > 0, "eSpeak NG does not start: is its data folder there?"
    heard = []

    def take(samples, count, _events):
        if samples and count > 0:
            heard.extend(samples[:count])
        return 0

    callback = callback_type(take)
    lib.espeak_SetSynthCallback(callback)
    assert lib.espeak_SetVoiceByName(VOICE.encode()) == 0
    lib.espeak_SetParameter(1, WORDS_PER_MINUTE, 0)
    lib.espeak_SetParameter(3, PITCH, 0)
    for name, text in texts.items():
        heard.clear()
        octets = text.encode() + b"\0"
        assert lib.espeak_Synth(octets, ctypes.c_size_t(len(octets)), 0, 1, 0, 1, None, None) == 0
        yield name, rate, list(heard)


def to_8_khz(samples, rate):
    """Band-limited: a windowed sinc with its edge at 3.7 kHz."""
    step, edge = rate / RATE, 2 * 3700 / rate
    reach = int(HALF / edge)
    out = []
    for n in range(int(len(samples) / step)):
        centre = n * step
        first, last = max(0, math.ceil(centre - reach)), min(len(samples) - 1, math.floor(centre + reach))
        total = 0.0
        for i in range(first, last + 1):
            x = i - centre
            kernel = edge if x == 0 else math.sin(math.pi * edge * x) / (math.pi * x)
            total += samples[i] * kernel * (0.5 + 0.5 * math.cos(math.pi * x / (reach + 1)))
        out.append(total)
    return out


def main():
    for name, rate, samples in speak(TEXTS):
        samples = to_8_khz(samples, rate)
        loudest = max(abs(s) for s in samples)
        quiet = [0] * (RATE // 4)
        samples = quiet + [round(s * PEAK / loudest) for s in samples] + quiet
        with wave.open(f"sounds/{name}.wav", "wb") as out:
            out.setparams((1, 2, RATE, 0, "NONE", ""))
            out.writeframes(array.array("h", samples).tobytes())
        print(f"sounds/{name}.wav: {len(samples) / RATE:.1f} s")


if __name__ == "__main__":
    main()
