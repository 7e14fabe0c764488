"""ECDSA over P-256 with SHA-256 (FIPS 186-5, 6.4.2): verification in constant memory.

Jacobian coordinates with a = -3 (hyperelliptic.org/EFD: dbl-2001-b, madd), and both scalars in one
pass over G, Q, G+Q and G-Q (Shamir's trick). The digits are the difference of the bits of 3k and
of k: a non-adjacent form that needs no table. Nothing here is secret: nothing needs constant time.
"""

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
_GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5


def point(key):
    """(x, y) of an uncompressed point of the curve, 65 bytes; None where it is none."""
    if len(key) != 65 or key[0] != 4:
        return None
    x = int.from_bytes(key[1:33], "big")
    y = int.from_bytes(key[33:], "big")
    if x >= P or y >= P or (y * y - (x * x - 3) * x - _B) % P:
        return None
    return x, y


def _inverse(a, m):
    """Of 0 < a < m, m prime: a generator."""
    b, s, t = m, 1, 0
    while a > 1:
        for _ in range(8):
            q = b // a
            b, a, t, s = a, b - q * a, s, t - q * s
            if a == 1:
                break
        yield
    return s % m


def _sums(x, y):
    """G+Q and G-Q, None for infinity: a generator."""
    if x == _GX:
        slope = 3 * (x * x - 1) * (yield from _inverse(2 * _GY % P, P)) % P
        u = (slope * slope - 2 * x) % P
        twice = u, (slope * (x - u) - _GY) % P
        return (twice, None) if y == _GY else (None, twice)
    d = yield from _inverse((x - _GX) % P, P)
    slope = (y - _GY) * d % P
    u = (slope * slope - _GX - x) % P
    plus = u, (slope * (_GX - u) - _GY) % P
    slope = (-y - _GY) * d % P
    u = (slope * slope - _GX - x) % P
    return plus, (u, (slope * (_GX - u) - _GY) % P)


def _twice(X, Y, Z):
    d = Z * Z % P
    g = Y * Y % P
    b = X * g % P
    a = 3 * (X - d) * (X + d) % P
    u = (a * a - 8 * b) % P
    Z = ((Y + Z) * (Y + Z) - g - d) % P
    return u, (a * (4 * b - u) - 8 * g * g) % P, Z


def _plus(X, Y, Z, x, y):
    """Adds an affine point; Z = 0 is infinity."""
    if not Z:
        return x, y, 1
    zz = Z * Z % P
    h = (x * zz - X) % P
    r = (y * zz * Z - Y) % P
    if not h:
        return _twice(X, Y, Z) if not r else (1, 1, 0)
    hh = h * h % P
    v = X * hh % P
    hhh = h * hh % P
    u = (r * r - hhh - 2 * v) % P
    return u, (r * (v - u) - Y * hhh) % P, Z * h % P


def verify(key, digest, signature):
    """Whether a signature over a digest (32 bytes) is by this key: a generator.

    signature  r then s, 32 bytes each, big-endian
    It yields every few milliseconds, and returns True or False.
    """
    q = point(key)
    r = int.from_bytes(signature[:32], "big")
    s = int.from_bytes(signature[32:], "big")
    if not q or len(signature) != 64 or not 0 < r < N or not 0 < s < N:
        return False
    x, y = q
    w = yield from _inverse(s, N)
    k = int.from_bytes(digest, "big") * w % N
    k1, h1 = k.to_bytes(33, "big"), (3 * k).to_bytes(33, "big")
    k = r * w % N
    k2, h2 = k.to_bytes(33, "big"), (3 * k).to_bytes(33, "big")
    plus, minus = yield from _sums(x, y)
    X, Y, Z = 1, 1, 0
    for i in range(33):
        for bit in range(7, -1, -1):
            if i == 32 and not bit:
                break  # the digits are those of 2k
            d1 = (h1[i] >> bit & 1) - (k1[i] >> bit & 1)
            d2 = (h2[i] >> bit & 1) - (k2[i] >> bit & 1)
            if Z:
                X, Y, Z = _twice(X, Y, Z)
            if d1 and d2:
                sum = plus if d1 == d2 else minus
                if sum:
                    X, Y, Z = _plus(X, Y, Z, sum[0], sum[1] if d1 > 0 else P - sum[1])
            elif d1:
                X, Y, Z = _plus(X, Y, Z, _GX, _GY if d1 > 0 else P - _GY)
            elif d2:
                X, Y, Z = _plus(X, Y, Z, x, y if d2 > 0 else P - y)
            yield
    if not Z:
        return False
    Z = Z * Z % P
    return (r * Z - X) % P == 0 or (r + N < P and ((r + N) * Z - X) % P == 0)
