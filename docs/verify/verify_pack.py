"""Checks a scimseal evidence pack offline: signatures, chain, inclusion, consistency, attachments.
usage: verify_pack.py PACK KEY [EARLIER]   KEY: the pinned public key, a vkey or a file with a vkey or a JWK;
EARLIER: a file with a checkpoint to be continued. Written from docs/FORMAT.md, with Python 3 and its standard library.
Exit status: 0 all is well, 1 something was found, 2 it could not be read, or not be compared with EARLIER."""
import base64, hashlib, json, os, re, sys, tarfile
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, P - 2, P) % P, pow(2, (P - 1) // 4, P)
sha256 = lambda *parts: hashlib.sha256(b"".join(parts)).digest()
to64 = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()  # base64url without padding
def need(condition, problem):  # not assert: python -O leaves those out
    if not condition: raise ValueError(problem)

def plus(p, q):
    a, b, c, d = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0]), 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P
def times(number, p, total=(0, 1, 1, 0)):
    while number: total, p, number = plus(total, p) if number & 1 else total, plus(p, p), number >> 1
    return total

def point(data):  # RFC 8032 5.1.3: canonical encodings only, and no point of small order
    sign, y = divmod(int.from_bytes(data, "little"), 2**255)
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    x = x if x * x % P == x2 else x * ROOT % P
    x = x if x & 1 == sign else P - x
    is_good = len(data) == 32 and y < P and x * x % P == x2 and times(8, (x, y, 1, x * y % P))[0] != 0
    return (x, y, 1, x * y % P) if is_good else None

def signed(key, message, signature, base=point(b"\x58" + b"\x66" * 31)):  # RFC 8032 5.1.7, without cofactor
    a, r, s = point(key), point(signature[:32]), int.from_bytes(signature[32:], "little")
    need(len(signature) == 64 and a and r and s < L, "bad signature")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    p, q = times(s, base), plus(r, times(k, a))
    return (p[0] * q[2] - q[0] * p[2]) % P == (p[1] * q[2] - q[1] * p[2]) % P == 0

def from64(text, url=True):  # canonical only; with url False the padded base64 of C2SP
    data = base64.b64decode(text + "=" * (-len(text) % 4) if url else text, b"-_" if url else None, validate=True)
    need(text == (to64(data) if url else base64.b64encode(data).decode()), "not canonical base64")
    return data

def check_leaf(line, key):  # FORMAT 2 -> payload
    header, payload, signature = line.decode("ascii").split(".")
    kid = to64(sha256(b'{"crv":"Ed25519","kty":"OKP","x":"%s"}' % to64(key).encode()))  # RFC 7638
    need(from64(header).decode() == '{"alg":"EdDSA","kid":"%s","typ":"scimseal+jws"}' % kid, "not by the key of then")
    need(len(line) <= 65535 and signed(key, line[:line.rindex(b".")], from64(signature)), "bad signature")
    return json.loads(from64(payload))

def climb(index, last, first, proof):  # FORMAT 13 -> roots of the part on the left, and of the whole
    left = whole = first
    for sibling in proof:
        need(last > 0, "the proof is too long")
        if index & 1 or index == last:
            left, whole = sha256(b"\1", sibling, left), sha256(b"\1", sibling, whole)
            while not index & 1 and index: index, last = index >> 1, last >> 1
        else: whole = sha256(b"\1", whole, sibling)
        index, last = index >> 1, last >> 1
    need(last == 0, "the proof is too short")
    return left, whole

def check_prefix(old, new, proofs):  # trees as (size, root)
    if old == new: return
    found = [p["hashes"] for p in proofs if (p["oldSize"], p["newSize"]) == (old[0], new[0])]
    need(found and 0 < old[0] < new[0], "no proof that the pack continues the checkpoint of %d" % old[0])
    proof = [from64(hash, False) for hash in found[0]]
    index, last = old[0] - 1, new[0] - 1
    while index & 1: index, last = index >> 1, last >> 1
    proof = proof if index else [old[1]] + proof
    need(climb(index, last, proof[0], proof[1:]) == (old[1], new[1]), "no continuation of the checkpoint of %d" % old[0])

def check_included(proof, seq, leaf, tree, note):
    head, _, rest = proof.decode().partition("\n\n")
    version, index, *hashes = head.split("\n")
    need(version == "c2sp.org/tlog-proof@v1" and index == "index %d" % seq and rest == note and seq < tree[0], "bad proof")
    need(climb(seq, tree[0] - 1, leaf, [from64(hash, False) for hash in hashes])[1] == tree[1], "not in the tree")

def open_checkpoint(note, keys_of):  # FORMAT 12 -> origin, tree
    text, _, signatures = note.partition("\n\n")
    origin, size, root = text.split("\n")
    for key in keys_of(int(size)):
        key_id = sha256(origin.encode() + b"\n\1" + key)[:4]
        for name, data in re.findall("^\u2014 (\\S+) (\\S+)$", signatures, re.M):
            data = from64(data, False)
            if name == origin and data[:4] == key_id and signed(key, text.encode() + b"\n", data[4:]):
                return origin, (int(size), from64(root, False))
    raise ValueError("no trusted key signed the checkpoint of %s" % size)

def verify(pack, pinned, earlier):  # FORMAT 16
    tar, earlier = tarfile.open(pack, "r:"), earlier.decode(errors="replace")
    names = [member.name for member in tar if member.isreg()]
    need(len(set(names)) == len(tar.getnames()), "not plain files of different names")
    eras, before, seqs, found, unread = [(0, pinned)], None, [], [], set(names) - {"README.txt", "keys.json"}
    read = lambda name: unread.discard(name) or tar.extractfile(name).read()
    key_at = lambda seq: [key for start, key in eras if start <= seq][-1]
    rotations = [name for name in names if re.fullmatch(r"rotations/\d+\.jws", name)]
    for name in rotations:
        payload = check_leaf(read(name), eras[-1][1])
        need(payload["event"]["name"] == "key-rotated" and payload["seq"] >= eras[-1][0], "no rotation")
        eras.append((payload["seq"] + 1, from64(payload["event"]["jwk"]["x"])))
    keys_of = lambda size: (key_at(max(0, size - 1)), key_at(size))
    note, statement = read("checkpoints/last.txt").decode(), json.loads(read("statement.json"))
    origin, tree = open_checkpoint(note, keys_of)
    for name, (start, _) in zip(rotations, eras[1:]):
        check_included(read(name[:-4] + ".tlog-proof"), start - 1, sha256(b"\0", read(name)), tree, note)
    proofs, apart = json.loads(read("consistency.json"))["proofs"], None
    for old in [read("checkpoints/first.txt").decode()] + ([earlier] if earlier else []):
        try:
            need(old.startswith(origin + "\n"), "it is none, or of another ledger")
            size = int(old.split("\n")[1])
            prefix = open_checkpoint(old, keys_of)[1] if size <= tree[0] or old is not earlier else None
        except ValueError as problem:
            need(old is earlier, problem)
            apart = "EARLIER is no checkpoint that this ledger signed (%s): give the whole signed note" % problem
            break
        has_way = prefix and (old is not earlier or size >= tree[0] or size in [proof["oldSize"] for proof in proofs])
        lacks = "your checkpoint is of %d entries, the pack's tree has %d, and it shows no way between"
        apart = check_prefix(prefix, tree, proofs) if has_way else lacks % (size, tree[0])
    for line in (line for n in names if n.startswith("entries/") for line in read(n).split(b"\n")[:-1]):
        seq, leaf = before[0] + 1 if before else statement["firstSeq"], sha256(b"\0", line)
        try:
            seq = json.loads(from64(line.decode("ascii").split(".")[1]))["seq"]
            payload = check_leaf(line, key_at(seq))
            need(payload["log"] == origin, "an entry of another ledger")
            check_included(read("proofs/%016d.tlog-proof" % seq), seq, leaf, tree, note)
            need(not before or before[0] + 1 != seq or payload["prev"] == to64(before[1]), "broken link")
            for item in payload["attachments"] if statement["attachments"] == "included" else []:
                path = "attachments/%016d/%s" % (seq, item["name"])
                need(sha256(read(path + ".salt"), read(path)) == from64(item["commitment"]), "bad attachment")
        except (ValueError, LookupError, TypeError) as problem:
            found.append("entry %s: %s" % (seq, problem))
        before = seqs.append(seq) or (seq, leaf)
    said = [statement[name] for name in ("count", "firstSeq", "lastSeq", "gapFree")]
    is_said = said == [len(seqs), seqs[0], seqs[-1], seqs[-1] - seqs[0] + 1 == len(seqs)] and seqs == sorted(set(seqs))
    found += [] if is_said else ["the entries are not those of the statement"]
    found += [] if found else ["nothing in the pack names " + name for name in sorted(unread)]
    return found, apart, "%d entries of %s, tree of %d, root %s" % (len(seqs), origin, tree[0], note.split("\n")[2])

if __name__ == "__main__":
    if len(sys.argv) not in (3, 4): sys.exit(print(__doc__) or (0 if sys.argv[1:] in (["-h"], ["--help"]) else 2))
    try:
        text = open(sys.argv[2]).read().strip() if os.path.exists(sys.argv[2]) else sys.argv[2]
        if not text.startswith("{") and text.count("+") < 2: raise OSError("KEY is no file, and neither a vkey nor a JWK")
        key = from64(json.loads(text)["x"]) if text.startswith("{") else from64(text.split("+", 2)[2], False)[1:]
        findings, apart, summary = verify(sys.argv[1], key, open(sys.argv[3], "rb").read() if len(sys.argv) > 3 else b"")
    except Exception as problem:
        sys.exit(print("NOT CHECKED: %s" % problem) or (2 if isinstance(problem, OSError) else 1))
    word = "BROKEN: " if findings else "NOT COMPARED: %s\nin itself: " % apart if apart else "OK: "
    sys.exit(print("\n".join(findings + [word + summary])) or (1 if findings else 2 if apart else 0))
