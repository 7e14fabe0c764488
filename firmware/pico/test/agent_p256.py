"""P-256 against known answers, wrong ones and the edges of the group; prints what it costs."""

import sys
import time
from hashlib import sha256

import flota_p256 as p256

N, P = p256.N, p256.P
# RFC 6979, A.2.5, with SHA-256.
X = 0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6
Y = 0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299
SAMPLE = (
    0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
    0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
)
TEST = (
    0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
    0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
)
failed = 0
steps = longest = 0


def bytes_of(n):
    return n.to_bytes(32, "big")


def key_of(x, y):
    return b"\4" + bytes_of(x) + bytes_of(y)


def verify(key, digest, r, s):
    global steps, longest
    generator = p256.verify(key, digest, bytes_of(r) + bytes_of(s))
    steps = longest = 0
    while True:
        began = time.ticks_us()
        try:
            next(generator)
        except StopIteration as e:
            return e.value
        steps += 1
        longest = max(longest, time.ticks_diff(time.ticks_us(), began))


def multiply(k, x=p256._GX, y=p256._GY):
    a, b, c = 1, 1, 0
    for i in range(255, -1, -1):
        if c:
            a, b, c = p256._twice(a, b, c)
        if k >> i & 1:
            a, b, c = p256._plus(a, b, c, x, y)
    if not c:
        return None
    i = pow(c, P - 2, P)
    return a * i * i % P, b * i * i * i % P


def add(one, two):
    a, b, c = p256._plus(one[0], one[1], 1, two[0], two[1])
    i = pow(c, P - 2, P)
    return a * i * i % P, b * i * i * i % P


def is_right(name, want, key, digest, r, s):
    global failed
    got = verify(key, digest, r, s)
    if got is not want:
        failed += 1
        print("FAIL %s: %s" % (name, got))


key = key_of(X, Y)
sample, test = sha256(b"sample").digest(), sha256(b"test").digest()
is_right("sample", True, key, sample, SAMPLE[0], SAMPLE[1])
is_right("sample, the other s", True, key, sample, SAMPLE[0], N - SAMPLE[1])
is_right("test", True, key, test, TEST[0], TEST[1])
is_right("another message", False, key, test, SAMPLE[0], SAMPLE[1])
is_right("another key", False, key_of(p256._GX, p256._GY), sample, SAMPLE[0], SAMPLE[1])
is_right("the negative key", False, key_of(X, P - Y), sample, SAMPLE[0], SAMPLE[1])
r, s = SAMPLE
for name, a, b in (
    ("r 0", 0, s),
    ("s 0", r, 0),
    ("r n", N, s),
    ("s n", r, N),
    ("r beyond n", N + 1, s),
    ("s beyond n", r, (1 << 256) - 1),
    ("r and s swapped", s, r),
    ("r one more", r + 1, s),
    ("s one less", r, s - 1),
    ("1 and 1", 1, 1),
):
    is_right(name, False, key, sample, a, b)
for name, bad in (
    ("y one more", key_of(X, Y + 1)),
    ("x and y swapped", key_of(Y, X)),
    ("0, 0", key_of(0, 0)),
    ("x of p", key_of(P, Y)),
    ("compressed", b"\2" + key[1:33]),
    ("another form", b"\6" + key[1:]),
    ("64 bytes", key[1:]),
    ("empty", b""),
):
    is_right("key: " + name, False, bad, sample, r, s)


def signed(d, digest, k):
    e = int.from_bytes(digest, "big")
    r = multiply(k)[0] % N
    return r, pow(k, N - 2, N) * (e + r * d) % N


# Keys next to G: where the sums in Shamir's trick are infinity, or a doubling.
for d in (1, 2, 3, N - 1, N - 2, (N + 1) // 2):
    public = multiply(d)
    for k in (1, 2, 7, 0xDEADBEEF << 200, N - 1):
        a, b = signed(d, sample, k)
        if b:
            is_right("d %x k %x" % (d, k), True, key_of(*public), sample, a, b)
            is_right("d %x k %x, wrong" % (d, k), False, key_of(*public), test, a, b)

# The sum of both is infinity: u1 G + u2 Q with Q = -(e/r) G.
e = int.from_bytes(sample, "big")
for a in (5, SAMPLE[0]):
    public = multiply((N - e) * pow(a, N - 2, N) % N)
    is_right("infinity, r %x" % a, False, key_of(*public), sample, a, 1)

# A point whose x is between n and p: r is x - n. Q = (R - e G) / r, with s = 1.
x = N
while True:
    x += 1
    square = (x * x * x - 3 * x + p256._B) % P
    y = pow(square, (P + 1) // 4, P)
    if y * y % P == square:
        break
down = multiply(N - e)
q = add((x, y), down)
r = x - N
public = multiply(pow(r, N - 2, N), q[0], q[1])
is_right("x beyond n", True, key_of(*public), sample, r, 1)
is_right("x beyond n, not reduced", False, key_of(*public), sample, x, 1)
is_right("x beyond n, wrong", False, key_of(*public), sample, r + 1, 1)


# What it costs. Every product of two numbers of 256 bits with its remainder is counted.
counts = {"twice": 0, "plus": 0, "inverse": 0}


def counted(name, f):
    def g(*args):
        counts[name] += 1
        return f(*args)

    return g


plain = p256._twice, p256._plus, p256._inverse
p256._twice, p256._plus = counted("twice", plain[0]), counted("plus", plain[1])
p256._inverse = counted("inverse", plain[2])
is_right("counted", True, key, sample, SAMPLE[0], SAMPLE[1])
p256._twice, p256._plus, p256._inverse = plain
began = time.ticks_us()
for _ in range(20):
    is_right("timed", True, key, sample, SAMPLE[0], SAMPLE[1])
took = time.ticks_diff(time.ticks_us(), began) / 20e6
print("pico.verify.s=%.4f" % took)
print("pico.verify.steps=%d" % steps)
print("pico.verify.doublings=%d" % counts["twice"])
print("pico.verify.additions=%d" % counts["plus"])
print("pico.verify.inversions=%d" % counts["inverse"])
# dbl-2001-b: 8; madd: 11; and the few of the sums and of the end.
print("pico.verify.products=%d" % (8 * counts["twice"] + 11 * counts["plus"] + 16))
print("ok p256" if not failed else "FAIL p256: %d" % failed)
sys.exit(1 if failed else 0)
